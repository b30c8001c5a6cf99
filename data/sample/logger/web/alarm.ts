/** Decides who is called when the water stands higher than predicted. */

export interface Observation {
  station: string;
  observed: number;
  predicted: number;
  at: Date;
}

export interface Alarm {
  station: string;
  surge: number;
  call: string[];
}

export class SurgeWatch {
  private quietUntil = new Map<string, number>();

  constructor(
    private readonly limitMillimetres: number,
    private readonly people: string[],
    private readonly quietMinutes = 60,
  ) {}

  /** Returns an alarm, or nothing while the station is quiet after the last one. */
  check(observation: Observation): Alarm | undefined {
    const surge = observation.observed - observation.predicted;
    const now = observation.at.getTime();
    if (surge < this.limitMillimetres || now < (this.quietUntil.get(observation.station) ?? 0)) {
      return undefined;
    }
    this.quietUntil.set(observation.station, now + this.quietMinutes * 60_000);
    return { station: observation.station, surge, call: this.people };
  }
}
