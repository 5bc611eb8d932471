package events

// never is the TTLSeconds of events that do not expire.
const never = -1

// builtin are the published events, in the order of the published description.
var builtin = []Definition{
	{Name: "UserAlert", Kind: KindUser, TTLSeconds: never},
	{Name: "UserAvailability", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallAvailableForMonitoring", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInArrived", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInComing", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInDisconnected", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInOverflow", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInTransferCancelled", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInTransferConnected", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInTransferStarted", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInUserAllocated", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInUserCancelled", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInUserConnected", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallInUserOverflow", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallOutConnected", Kind: KindUser, TTLSeconds: never},
	{Name: "UserCallOutDisconnected", Kind: KindUser, TTLSeconds: never},
	{
		Name: "UserSetting", Kind: KindUser, TTLSeconds: never,
		Properties: []Property{{"AllowedValues", TypeDictionary}, {"Values", TypeDictionary}},
	},
	{Name: "UserStatus", Kind: KindUser, TTLSeconds: 60, ConflationKey: []string{"EntityId"}},
	{Name: "UserSupervisionStatus", Kind: KindUser, TTLSeconds: never},
	{Name: "UserWrapUpEnabled", Kind: KindUser, TTLSeconds: never},
	{Name: "UserWrapUpStarted", Kind: KindUser, TTLSeconds: never},
	{Name: "UserWrapUpTerminated", Kind: KindUser, TTLSeconds: never},
	{Name: "QueueCallInArrived", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInComing", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInDisconnected", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInOverflow", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInTransferCancelled", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInTransferConnected", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueCallInTransferStarted", Kind: KindQueue, TTLSeconds: never},
	{Name: "QueueStatus", Kind: KindQueue, TTLSeconds: 60, ConflationKey: []string{"EntityId"}},
	{Name: "CallbackChanged", Kind: KindCallList, TTLSeconds: 120, ConflationKey: []string{"CallListId", "CallBackId"}},
}
