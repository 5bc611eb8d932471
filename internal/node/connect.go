package node

import (
	"context"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/redis"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/diagnosis"
)

// TryConnect tries every server that a node with this configuration would use, and returns the findings. It starts no
// node and changes nothing on the servers. ctx bounds its duration. The configuration must have passed
// config.CheckServer and TryParts.
func TryConnect(ctx context.Context, c *config.Config) []diagnosis.Finding {
	return diagnosis.Together(
		func() []diagnosis.Finding { return tryRedis(ctx, &c.Redis) },
		func() []diagnosis.Finding { return tryKeySets(ctx, &c.Auth) },
		func() []diagnosis.Finding { return tryDirectory(ctx, &c.Directory) },
	)
}

func tryRedis(ctx context.Context, c *config.Redis) []diagnosis.Finding {
	if len(c.Addresses) == 0 {
		return []diagnosis.Finding{{
			Subject: "redis", Check: "addresses", Status: diagnosis.OK, Detail: "none: the node would be alone",
		}}
	}
	options, err := RedisOptions(c, backplane.Options{Logger: zap.NewNop()})
	if err == nil {
		var findings []diagnosis.Finding
		if findings, err = redis.Diagnose(ctx, options); err == nil {
			return findings
		}
	}
	return []diagnosis.Finding{failure("redis", err)}
}

// failure is the finding about an unusable configuration.
func failure(subject string, err error) diagnosis.Finding {
	return diagnosis.Finding{
		Subject: subject, Check: "options", Status: diagnosis.Failed, Detail: err.Error(), Next: "correct the configuration",
	}
}

func tryKeySets(ctx context.Context, c *config.Auth) []diagnosis.Finding {
	sets, err := c.KeySets()
	if err != nil {
		return []diagnosis.Finding{failure("key set", err)}
	}
	require, err := c.Requirements()
	if err != nil {
		return []diagnosis.Finding{failure("key set", err)}
	}
	return token.DiagnoseKeySets(ctx, sets, c.Algorithms, &require)
}

func tryDirectory(ctx context.Context, c *config.Directory) []diagnosis.Finding {
	f := diagnosis.Finding{Subject: "directory", Check: "read", Status: diagnosis.OK}
	switch c.Kind {
	case "claims":
		f.Detail = "none: the claims of tokens count"
	case "file":
		f.Detail = "the file can be used"
	case "redis":
		f.Detail = "it is in Redis, see rights there"
	default: // "http"
		source, err := directory.NewHTTPSource(directory.HTTPSourceOptions{URL: c.URL, Token: c.Token})
		if err != nil {
			f = failure("directory", err)
			break
		}
		defer source.Close()
		f = source.Diagnose(ctx, c.Timeout)
	}
	return []diagnosis.Finding{f}
}
