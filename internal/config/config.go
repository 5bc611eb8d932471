package config

import "time"

// Config is the whole configuration. groups.go lists its keys with their defaults and meanings.
type Config struct {
	Listen  string
	Path    string
	Origins []string
	// Transports are the transports of clients.
	Transports []string

	// TrustedProxies, ForwardedHeader and ProxyProtocol say who a client behind proxies is.
	TrustedProxies  []string
	ForwardedHeader string
	ProxyProtocol   string

	Connection struct {
		Secret, PreviousSecret string
	}
	TLS     PortTLS
	Console struct {
		Listen string
		Token  string
		// ReadToken and PublishToken are for those who may only read, or only publish.
		ReadToken, PublishToken string
		TLS                     PortTLS
	}
	Health struct {
		Path string
	}
	Publish   Publish
	Auth      Auth
	Directory Directory
	Policy    struct {
		File string
	}
	Redis       Redis
	Events      Events
	MessagePack struct {
		Keys  string
		Times string
	}
	// DetailedErrors adds reasons to the errors that clients get.
	DetailedErrors bool

	Limits    Limits
	Quotas    Quotas
	Admission Admission
	Memory    Memory
	Timeouts  Timeouts
	Fanout    struct {
		Shards  int
		Backlog int
		Rest    time.Duration
	}
	Hub struct {
		Pool int
	}
	Snapshots Snapshots
	Tracing   Tracing
	Trace     struct {
		Bytes   int
		Entries int
	}
	Tap struct {
		Max   int
		Rate  int
		Bytes int
	}
	Relay       Relay
	Compression struct {
		Deflate bool
		Level   int
	}
	Resume struct {
		Window     time.Duration
		Bytes      int
		TotalBytes int
	}
	Resync struct {
		Window      time.Duration
		CloseWindow time.Duration
		Rate        int
	}
	Startup struct {
		Timeout time.Duration
	}
	Shutdown struct {
		Delay   time.Duration
		Drain   time.Duration
		Wait    time.Duration
		Timeout time.Duration
	}
	Rebalance Rebalance
	Log       struct {
		Level     string
		Format    string
		AuditRate int
	}

	notes []string // warnings about the sources, each with its key
}

// Rebalance says when a node with more connections than others moves some of them.
type Rebalance struct {
	Enabled bool
	Above   int // percent
	Below   int // percent
	Least   int
	After   time.Duration
	Rate    int // percent per minute
}

// Events selects the known events and the treatment of faulty and late ones.
type Events struct {
	MaxBytes    int
	CatalogFile string
	Unknown     string
	Validation  string
	SampleEvery int
	Quarantine  int
	Expire      bool
	ClockSkew   time.Duration
}

// Auth selects the accepted tokens.
type Auth struct {
	HMACSecret         string
	PreviousHMACSecret string
	PublicKeyFile      string
	JWKSURL            []string
	Algorithms         []string
	Issuer             []string
	Tenants            []string
	Audience           []string
	AudienceClaims     []string
	RequiredScopes     []string
	RequiredClaims     []string
	Leeway             time.Duration
	RequireExpiry      bool
	MaxTokenBytes      int
	RevocationTTL      time.Duration
	CloseAtExpiry      bool
	Refresh            bool
	WebSocketTicket    bool
	ExpiryGrace        time.Duration
	Claims             struct {
		User, Organization, Organizations, Role, Grants, TokenID string
	}
	Roles       []string
	DefaultRole string
}

// Publish bounds publishing over HTTP.
type Publish struct {
	MaxBytes int
	Timeout  time.Duration
	Window   time.Duration
}

// Directory selects the source of entities and their organizations.
type Directory struct {
	Kind                 string
	File                 string
	URL, Token           string
	Timeout              time.Duration
	Concurrency          int
	KnownTTL, UnknownTTL time.Duration
	CacheBytes           int
}

// Redis describes the Redis of the backplane.
type Redis struct {
	Addresses          []string
	Username, Password string
	DB                 int
	Prefix             string
	TLS                struct {
		Enabled            bool
		CAFile             string
		CertFile, KeyFile  string
		ServerName         string
		InsecureSkipVerify bool
	}
	SentinelMaster                     string
	SentinelUsername, SentinelPassword string
	Cluster, Sharded                   bool
	Lanes, Connections                 int
	Linger, Watch                      time.Duration
	ProbeInterval, ProbeTimeout        time.Duration
	DialTimeout, CommandTimeout        time.Duration
	LaneQueueBytes, TotalQueueBytes    int
}

// Limits bounds what clients may use.
type Limits struct {
	Connections   int
	Subscriptions int
	// AgentSubscriptions bounds agents in place of Subscriptions; 0: it does not.
	AgentSubscriptions int

	Items        int
	AnswerBytes  int
	MessageBytes int
	PendingBytes int
	FrameBytes   int
	FrameRate    int
	CallRate     int
	PingRate     int
	UnreadBytes  int
	HeaderBytes  int
	OutboxBytes  int
	// TotalOutboxBytes bounds all outboxes together.
	TotalOutboxBytes int
	OutboxAge        time.Duration
}

// Quotas bounds what each organization, user and address may use of a node; 0: no limit.
type Quotas struct {
	Connections int

	UserConnections    int
	AddressConnections int

	Subscriptions int
	Events        int
}

// Timeouts are the time limits of clients.
type Timeouts struct {
	ReadHeader  time.Duration
	Negotiate   time.Duration
	Handshake   time.Duration
	KeepAlive   time.Duration
	Client      time.Duration
	Send        time.Duration
	Unconfirmed time.Duration
	Close       time.Duration
	Idle        time.Duration
	Hold        time.Duration
	Poll        time.Duration
	Invocation  time.Duration
	Subscribe   time.Duration
	Snapshot    time.Duration
}
