package config

import "time"

// Config is everything that can be configured. Its keys, their defaults and what they mean stand in keys.go.
type Config struct {
	Listen  string
	Path    string
	Origins []string

	Connection struct {
		Secret string
	}
	Console struct {
		Listen string
		Token  string
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
	Limits   Limits
	Quotas   Quotas
	Memory   Memory
	Timeouts Timeouts
	Fanout   struct {
		Shards  int
		Backlog int
		Rest    time.Duration
	}
	Hub struct {
		Pool int
	}
	Snapshots Snapshots
	Resync    struct {
		Window time.Duration
		Rate   int
	}
	Shutdown struct {
		Delay   time.Duration
		Drain   time.Duration
		Timeout time.Duration
	}
	Log struct {
		Level     string
		Format    string
		AuditRate int
	}
}

// Events says which events are known, and what becomes of those that are wrong or late.
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

// Auth says which tokens are accepted.
type Auth struct {
	HMACSecret         string
	PreviousHMACSecret string
	PublicKeyFile      string
	JWKSURL            []string
	Algorithms         []string
	Issuer             []string
	Audience           []string
	Leeway             time.Duration
	RequireExpiry      bool
	MaxTokenBytes      int
	RevocationTTL      time.Duration
	CloseAtExpiry      bool
	Refresh            bool
	ExpiryGrace        time.Duration
	Claims             struct {
		User, Organization, Organizations, Role, Grants, TokenID string
	}
}

// Publish bounds what publishers can ask for at the operator's port.
type Publish struct {
	MaxBytes int
	Timeout  time.Duration
	Window   time.Duration
}

// Directory says where it is written whose entities are.
type Directory struct {
	Kind                 string
	File                 string
	URL, Token           string
	Timeout              time.Duration
	Concurrency          int
	KnownTTL, UnknownTTL time.Duration
	CacheBytes           int
}

// Redis says where the backplane is.
type Redis struct {
	Addresses          []string
	Username, Password string
	DB                 int
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
	Lanes                              int
	Linger, Watch                      time.Duration
	ProbeInterval, ProbeTimeout        time.Duration
	DialTimeout, CommandTimeout        time.Duration
	LaneQueueBytes, TotalQueueBytes    int
}

// Limits bounds what clients can ask for.
type Limits struct {
	Connections   int
	Subscriptions int
	Items         int
	MessageBytes  int
	FrameBytes    int
	HeaderBytes   int
	OutboxBytes   int
	OutboxAge     time.Duration
}

// Quotas bounds what each organization can have of a node; 0: nothing does.
type Quotas struct {
	Connections   int
	Subscriptions int
	Events        int
}

// Memory is about memory as a whole; 0: it is left to the program.
type Memory struct {
	GCPercent int
	Limit     int
}

// Timeouts says how long the server waits for what.
type Timeouts struct {
	ReadHeader time.Duration
	Negotiate  time.Duration
	Handshake  time.Duration
	KeepAlive  time.Duration
	Client     time.Duration
	Send       time.Duration
	Close      time.Duration
	Invocation time.Duration
	Subscribe  time.Duration
	Snapshot   time.Duration
}
