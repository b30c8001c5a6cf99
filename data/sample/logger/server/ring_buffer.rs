//! A fixed ring of the latest levels: a new value overwrites the oldest one.

/// One level in millimetres above chart datum, at a second of UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    pub epoch_second: u64,
    pub millimetres: i32,
}

pub struct RingBuffer {
    slots: Vec<Option<Level>>,
    next: usize,
}

impl RingBuffer {
    /// A ring with room for `capacity` levels; a capacity of zero would lose everything and is refused.
    pub fn new(capacity: usize) -> Result<Self, String> {
        if capacity == 0 {
            return Err("a ring buffer needs at least one slot".to_string());
        }
        Ok(Self { slots: vec![None; capacity], next: 0 })
    }

    pub fn push(&mut self, level: Level) {
        self.slots[self.next] = Some(level);
        self.next = (self.next + 1) % self.slots.len();
    }

    /// Highest level of the last `seconds` before `now`.
    pub fn highest_since(&self, now: u64, seconds: u64) -> Option<Level> {
        self.slots
            .iter()
            .flatten()
            .filter(|level| level.epoch_second + seconds >= now)
            .max_by_key(|level| level.millimetres)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overwrites_the_oldest() {
        let mut ring = RingBuffer::new(2).unwrap();
        for second in 0..3 {
            ring.push(Level { epoch_second: second, millimetres: 100 - second as i32 });
        }
        assert_eq!(ring.highest_since(2, 10).unwrap().millimetres, 99);
    }
}
