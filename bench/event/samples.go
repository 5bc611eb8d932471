package event

// samples has, by event type, the properties that are specific to the type.
var samples = map[string]string{
	"UserCallInUserConnected": `"CallId":"d0000000-0000-4000-8000-000000000001","LegId":"1-42","AgentLegId":"1-43",` +
		`"UserId":"$ENTITY","OrganizationId":"$ORG","UserName":"agent@example.com","UserNumber":"+35840123456",` +
		`"CallerNumber":"+35850123456","TargetNumber":"+35810123456","MessageTTLSeconds":-1`,
	"UserStatus": `"MessageTTLSeconds":60,"UserId":"$ENTITY","OrganizationId":"$ORG","CanBeAllocatedTo":true,` +
		`"Talking":false,"TalkingStatusChanged":null,"ActiveQueueId":null,"Available":true,"Schedule":true,` +
		`"Serving":true,"ServiceTerminals":1,"ActiveQueues":2,"ParkedCalls":0,"WrapUpStart":null,` +
		`"WrapUpEnd":null,"ServingCallback":false,"FetchMode":false`,
	"QueueStatus": `"MessageTTLSeconds":60,"QueueId":"$ENTITY","OrganizationId":"$ORG","QueueName":"Support",` +
		`"NbrOfProviders":5,"NbrOfRequesters":9,"NbrOfServingAgentsEstimate":5,"NbrOfAllocated":1,` +
		`"NbrOfConnected":4,"NbrOfQueuingRequesters":4,"NbrOfAgentsImmediatelyFree":0,` +
		`"NbrOfAgentsCheckedInQueue":5,"MaxWaitTime":31,"OpenStatus":5`,
}
