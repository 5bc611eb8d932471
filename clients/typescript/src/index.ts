export * from "./events.js";
export { RteClient } from "./client.js";
export { type AccessReason, type Access, hubUrl, type RteClientOptions } from "./options.js";
export type { ClientState, Discontinuity, StateKind, Topic } from "./state.js";
export { RteSubscription, type SubscriptionState } from "./subscription.js";
