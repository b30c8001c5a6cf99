export function C(): X { return <div>a</div> }
