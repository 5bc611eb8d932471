package peer

import (
	"path/filepath"

	"github.com/rte-server/rte-server/bench/event"
)

// aspnetKind is the kind of the peers that need a dotnet.
const aspnetKind = "aspnet"

// aspnet is ASP.NET Core SignalR, with one group per topic.
func aspnet() Peer {
	return Peer{
		Name: "aspnet", Kind: aspnetKind, Title: "ASP.NET Core SignalR 10, groups", Label: "ASP.NET Core",
		Form:    event.Message,
		Prepare: func(s Setup) (Launch, error) { return launchAspnet(s), nil },
	}
}

// aspnetRedis is ASP.NET Core SignalR behind its Redis backplane, with Redis on the core of the load.
func aspnetRedis() Peer {
	return Peer{
		Name: "aspnet-redis", Kind: aspnetKind, Title: "ASP.NET Core SignalR 10, through Redis", Form: event.Message,
		Prepare: func(s Setup) (Launch, error) {
			l := launchAspnet(s)
			l.Args = append(l.Args, s.Broker.String())
			l.Broker = redisServer(s.Broker)
			return l, nil
		},
	}
}

func launchAspnet(s Setup) Launch {
	return Launch{
		Path:    "dotnet",
		Args:    []string{filepath.Join(s.Binaries, aspnetKind, "Aspnet.dll"), s.Client.String(), s.Operator.String()},
		Ready:   []string{s.Operator.String(), s.Client.String()},
		Dialect: &hub{host: s.Client.String(), topics: s.Topics},
		Connect: dialIngest(s.Operator),
	}
}
