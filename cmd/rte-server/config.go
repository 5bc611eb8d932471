package main

import "time"

// Config is everything that can be configured. Its keys, their defaults and what they mean stand in table.go.
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
	Publish   PublishConfig
	Auth      AuthConfig
	Directory DirectoryConfig
	Policy    struct {
		File string
	}
	Redis       RedisConfig
	Events      EventsConfig
	MessagePack struct {
		Keys  string
		Times string
	}
	Limits   LimitsConfig
	Quotas   QuotasConfig
	Memory   MemoryConfig
	Timeouts TimeoutsConfig
	Fanout   struct {
		Shards  int
		Backlog int
		Rest    time.Duration
	}
	Hub struct {
		Pool int
	}
	Snapshots SnapshotsConfig
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

// EventsConfig says which events are known, and what becomes of those that are wrong or late.
type EventsConfig struct {
	MaxBytes    int
	CatalogFile string
	Unknown     string
	Validation  string
	SampleEvery int
	Quarantine  int
	Expire      bool
	ClockSkew   time.Duration
}

// AuthConfig says which tokens are accepted.
type AuthConfig struct {
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

// PublishConfig bounds what publishers can ask for at the operator's port.
type PublishConfig struct {
	MaxBytes int
	Timeout  time.Duration
	Window   time.Duration
}

// DirectoryConfig says where it is written whose entities are.
type DirectoryConfig struct {
	Kind                 string
	File                 string
	URL, Token           string
	Timeout              time.Duration
	Concurrency          int
	KnownTTL, UnknownTTL time.Duration
	CacheBytes           int
}

// RedisConfig says where the backplane is.
type RedisConfig struct {
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

// LimitsConfig bounds what clients can ask for.
type LimitsConfig struct {
	Connections   int
	Subscriptions int
	Items         int
	MessageBytes  int
	FrameBytes    int
	HeaderBytes   int
	OutboxBytes   int
	OutboxAge     time.Duration
}

// QuotasConfig bounds what each organization can have of a node; 0: nothing does.
type QuotasConfig struct {
	Connections   int
	Subscriptions int
	Events        int
}

// MemoryConfig is about memory as a whole; 0: it is left to the program.
type MemoryConfig struct {
	GCPercent int
	Limit     int
}

// TimeoutsConfig says how long the server waits for what.
type TimeoutsConfig struct {
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
