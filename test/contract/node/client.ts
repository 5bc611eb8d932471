// A client that narrows by eventType. It is compiled and not run. Lines that must not compile are marked.
import type { EntitySubscription, Hub, MessageReceived, OpenStatus, Resync, RteEvent, SubscriptionsEnded } from "../../../api/rte-events";

export function onMessage({ subscription, data }: MessageReceived): string {
  switch (data.eventType) {
    case "QueueStatus": {
      const waiting: number = data.nbrOfQueuingRequesters;
      const open: boolean = data.openStatus === 5;
      // @ts-expect-error: no queue has an open status of 7
      const never: OpenStatus = 7;
      // @ts-expect-error: a QueueStatus has no user
      void data.userId;
      return `${data.queueName}: ${waiting} waiting, open: ${open}, ${never}`;
    }
    case "UserAvailability":
      return data.availability === "Away" ? "away" : (data.note ?? "here");
    case "UserSetting":
      return Object.keys(data.allowedValues ?? {}).join();
    case "UserCallInArrived":
      return String(data.publicity ?? "not published");
    case "CallbackChanged": {
      const due: string | null | undefined = data.dueDate;
      // @ts-expect-error: the date may be null or absent
      const certain: string = data.dueDate;
      return `${data.entityType satisfies "CallList"} ${due} ${certain} ${data.callbackAttempts?.length}`;
    }
    default:
      // @ts-expect-error: QueueStatus was handled above
      if (data.eventType === "QueueStatus") return "";
      return `${subscription.entityId} ${data.eventType} ${data.timestamp} ${data.messageTTLSeconds}`;
  }
}

// The switch distinguishes all events: an addition to the catalog needs an addition here.
export type Kinds = { [Name in RteEvent["eventType"]]: Extract<RteEvent, { eventType: Name }>["entityType"] };
export const kinds: Pick<Kinds, "UserStatus" | "QueueStatus" | "CallbackChanged"> = {
  UserStatus: "User",
  QueueStatus: "Queue",
  CallbackChanged: "CallList",
};

export async function listen(hub: Hub, entity: string): Promise<string[]> {
  const wanted: EntitySubscription[] = [
    { EntityId: entity, EventName: "UserStatus" },
    { EntityId: entity, EventName: "userstatus" },
  ];
  const results = await hub.Subscribe(wanted);
  // @ts-expect-error: the hub has five methods
  void hub.OnConnected;
  return results.filter((r) => !r.subscribed).map((r) => r.message ?? "");
}

// The notices.
export function onResync({ organizationId, from, to, subscriptions, total }: Resync): string {
  // @ts-expect-error: the time may be unknown
  const certain: string = from;
  return `${organizationId} ${certain} ${to ?? "now"} ${total} ${subscriptions.map((s) => s.entityId).join()}`;
}

export function onEnded({ code, subscriptions }: SubscriptionsEnded): string {
  return code === "unauthorized" ? subscriptions.map((s) => s.eventType).join() : code;
}
