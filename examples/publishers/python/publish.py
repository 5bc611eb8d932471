"""Publishes the status of a user to Redis."""

import json
import os
import uuid
from datetime import datetime, timezone

import redis

ORGANIZATION = os.environ.get("ORGANIZATION", "0d000000-0000-4000-8000-000000000001")
USER = os.environ.get("USER_ID", "0d000000-0000-4000-8000-000000000102")

event = {
    "Id": str(uuid.uuid4()),
    "RootEntityType": "Organization", "RootEntityId": ORGANIZATION, "OrganizationId": ORGANIZATION,
    "EntityType": "User", "EntityId": USER, "EventType": "UserStatus", "UserId": USER,
    "CanBeAllocatedTo": False, "Talking": True, "Available": True, "Schedule": True, "Serving": True,
    "ServiceTerminals": 1, "ActiveQueues": 2, "ParkedCalls": 0, "ServingCallback": False, "FetchMode": False,
    "Timestamp": datetime.now(timezone.utc).isoformat(), "MessageTTLSeconds": 60,
}
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
client.publish("rte:org:" + ORGANIZATION, json.dumps(event))
print("published", event["Id"])
