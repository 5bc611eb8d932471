// The answers of the development server beside the hub. A real system has a REST API for them.

/** Entity is a queue, a user or a call list. */
export interface Entity {
  readonly entityId: string;
  readonly entityType: "Queue" | "User" | "CallList";
  readonly name: string;
}

/** Figures count the calls of a queue since the start of the day. */
export interface Figures {
  readonly offered: number;
  readonly answered: number;
  readonly inTime: number;
  readonly abandoned: number;
  readonly overflowed: number;
  readonly refused: number;
}

/** CentreState is the answer of GET /demo/state. It has all events up to asOf, and none after it. */
export interface CentreState {
  readonly run: string;
  readonly scenario: string;
  readonly asOf: string;
  readonly started: string;
  readonly timeOfDay: string;
  readonly serviceLevelSeconds: number;
  readonly queues: readonly {
    readonly queueId: string; readonly name: string; readonly openStatus: number; readonly waiting: number;
    readonly ringing: number; readonly connected: number; readonly free: number; readonly checkedIn: number;
    readonly longestWait: number; readonly figures: Figures;
  }[];
  readonly users: readonly {
    readonly userId: string; readonly name: string; readonly state: UserWord; readonly since: string;
    readonly queueId?: string; readonly callId?: string; readonly availability: string; readonly note: string;
    readonly parked: number; readonly fetchMode: boolean;
  }[];
  readonly calls: readonly {
    readonly callId: string; readonly state: "waiting" | "ringing" | "connected" | "held" | "parked";
    readonly since: string; readonly queueId?: string; readonly userId?: string; readonly callerNumber: string;
    readonly targetNumber: string; readonly queued?: string;
  }[];
  readonly callbacks: readonly {
    readonly callBackId: string; readonly callListId: string; readonly contactNumber: string;
    readonly contactName: string; readonly creationTime: string; readonly assignedUserId?: string;
    readonly typeId: number; readonly attempts: number;
  }[];
  readonly alerts: readonly {
    readonly alertId: string; readonly queueId: string; readonly conditionName: string; readonly value: string;
    readonly since: string;
  }[];
  readonly history: readonly { readonly at: string; readonly waiting: number; readonly connected: number }[];
}

/** UserWord is the activity of a user, in one word. */
export type UserWord =
  | "free" | "ringing" | "talking" | "parked" | "calling" | "wrapUp" | "away" | "fetching" | "supervising" | "noQueue"
  | "offWork";

/** getJSON reads an answer of this server. */
export async function getJSON<T>(path: string): Promise<T> {
  const response = await fetch(path, { signal: AbortSignal.timeout(10_000) }).catch((error: unknown) => {
    throw new Error("the server does not answer", { cause: error });
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return (await response.json()) as T;
}
