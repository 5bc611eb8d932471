// Publishes the status of a user to Redis.
import { randomUUID } from "node:crypto";
import { createClient } from "redis";

const organization = process.env.ORGANIZATION ?? "0d000000-0000-4000-8000-000000000001";
const user = process.env.USER_ID ?? "0d000000-0000-4000-8000-000000000102";

const event = {
  Id: randomUUID(),
  RootEntityType: "Organization", RootEntityId: organization, OrganizationId: organization,
  EntityType: "User", EntityId: user, EventType: "UserStatus", UserId: user,
  CanBeAllocatedTo: false, Talking: true, Available: true, Schedule: true, Serving: true,
  ServiceTerminals: 1, ActiveQueues: 2, ParkedCalls: 0, ServingCallback: false, FetchMode: false,
  Timestamp: new Date().toISOString(), MessageTTLSeconds: 60,
};
const redis = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379" });
await redis.connect();
await redis.publish(`rte:org:${organization}`, JSON.stringify(event));
console.log("published", event.Id);
redis.destroy();
