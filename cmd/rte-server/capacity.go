package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"
)

// load is what a deployment has to carry.
type load struct {
	Agents        int           `json:"agents"`
	Subscriptions int           `json:"subscriptions"`
	EventRate     float64       `json:"eventsPerAgentPerSecond"`
	Subscribers   int           `json:"subscribersPerEvent"`
	EventBytes    int           `json:"eventBytes"`
	Organizations int           `json:"organizations"`
	Return        time.Duration `json:"-"` // time in which all clients of a lost node come back
	Spare         int           `json:"spareNodes"`
	Cores         int           `json:"coresPerNode"`
}

// capacity is what a load needs.
type capacity struct {
	Load              load    `json:"load"`
	Nodes             int     `json:"nodes"`
	Connections       int     `json:"connectionsPerNode"` // with the spare nodes lost
	CoresBusy         float64 `json:"coresBusyPerNode"`
	CoresReturn       float64 `json:"coresBusyWhileClientsReturn"`
	MemoryBytes       int64   `json:"memoryBytesPerNode"` // for memory.limit
	Descriptors       int     `json:"descriptorsPerNode"`
	EventsPerSecond   float64 `json:"eventsPerSecond"`
	Deliveries        float64 `json:"deliveriesPerSecond"`
	ClientBits        float64 `json:"clientBitsPerSecond"` // of all nodes
	RedisMessages     float64 `json:"redisMessagesPerSecond"`
	RedisBits         float64 `json:"redisBitsPerSecond"`
	RedisMemoryBytes  int64   `json:"redisMemoryBytes"`
	LimitsConnections int     `json:"limitsConnections"` // for limits.connections
}

// compute computes what a load needs. Every node is assumed to have clients of every organization, so that it receives
// every event.
func (l load) compute() capacity {
	c := capacity{Load: l}
	c.EventsPerSecond = float64(l.Agents) * l.EventRate
	c.Deliveries = c.EventsPerSecond * float64(l.Subscribers)
	c.ClientBits = c.Deliveries * float64(l.EventBytes+frameOverhead) * 8
	receiving := c.EventsPerSecond * eventTime.Seconds() // of each node, however many there are
	delivering := c.Deliveries * deliveryTime.Seconds()
	returning := func(nodes int) float64 { // the clients of one node, on the others
		return float64(l.Agents) / float64(nodes+1) / float64(nodes) / l.Return.Seconds() * connectTime.Seconds()
	}
	usable := busy * float64(l.Cores)
	nodes := max((l.Agents+maxConnections-1)/maxConnections, 1)
	for nodes < 10_000 && receiving+delivering/float64(nodes) > usable ||
		receiving+delivering/float64(nodes)+returning(nodes) > float64(l.Cores) {
		nodes++
	}
	c.Nodes = max(nodes+l.Spare, 2)
	left := max(c.Nodes-l.Spare, 1) // without the spare nodes
	c.Connections = (l.Agents + left - 1) / left
	c.CoresBusy = receiving + delivering/float64(left)
	c.CoresReturn = c.CoresBusy + returning(left)
	perConnection := connectionMemory + max(l.Subscriptions-1, 0)*subscriptionMemory
	c.MemoryBytes = baseMemory + memoryFactor*int64(c.Connections)*int64(perConnection)
	c.LimitsConnections = c.Connections * 5 / 4
	c.Descriptors = c.LimitsConnections + c.LimitsConnections/10 + spareDescriptors
	c.RedisMessages = c.EventsPerSecond * float64(c.Nodes)
	c.RedisBits = c.RedisMessages * float64(l.EventBytes) * 8
	entries := math.Min(c.EventsPerSecond*600, float64(l.Organizations)*journalEntries) // they expire after 10 minutes
	c.RedisMemoryBytes = int64(entries) * int64(l.EventBytes+journalEntryMemory)
	return c
}

func (l load) check() error {
	if l.Agents < 1 || l.Subscriptions < 1 || l.EventRate < 0 || l.Subscribers < 0 || l.EventBytes < 1 ||
		l.Organizations < 1 || l.Return < time.Second || l.Spare < 0 || l.Cores < 1 {
		return errors.New("numbers must be positive, and --return at least a second")
	}
	// Every node receives every event: more nodes do not help.
	if receiving := float64(l.Agents) * l.EventRate * eventTime.Seconds(); receiving > busy*float64(l.Cores)*0.9 {
		return fmt.Errorf("receiving the events alone takes %.1f cores of each node; raise --cores, or split the "+
			"organizations over several deployments", receiving)
	}
	return nil
}

func (p *program) capacityCommand() *cobra.Command {
	l := load{}
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "Compute nodes, cores, memory, Redis and bandwidth for a number of agents",
		Long: "Computes what a deployment needs from measured constants (docs/capacity.md). It connects to nothing.\n" +
			"The result is an estimate: measure your own load with \"rte-server bench\".",
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.IntVar(&l.Agents, "agents", 20_000, "`number` of clients that are connected at once")
	f.IntVar(&l.Subscriptions, "subscriptions", 40, "`number` of subscriptions of a client: entities times events")
	f.Float64Var(&l.EventRate, "event-rate", 0.2, "`number` of events per second and agent")
	f.IntVar(&l.Subscribers, "subscribers", 20, "`number` of clients that receive an event")
	f.IntVar(&l.EventBytes, "event-bytes", 1024, "size of an event in `bytes`")
	f.IntVar(&l.Organizations, "organizations", 100, "`number` of organizations")
	f.DurationVar(&l.Return, "return", 30*time.Second, "`time` in which the clients of a lost node come back")
	f.IntVar(&l.Spare, "spare", 1, "`number` of nodes that may be missing, for updates and failures")
	f.IntVar(&l.Cores, "cores", 4, "`number` of cores of a node")
	form := newOutput(cmd)
	markdown := f.Bool("markdown", false, "print the table of docs/capacity.md, for several numbers of agents")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := l.check(); err != nil {
			return usageError{err}
		}
		out := cmd.OutOrStdout()
		switch {
		case *markdown:
			return writeCapacityRows(out, l)
		case *form == outputJSON:
			encoder := json.NewEncoder(out)
			encoder.SetIndent("", "  ")
			return encoder.Encode(l.compute())
		default:
			return l.compute().write(out)
		}
	}
	return cmd
}

// write prints the result for people.
func (c capacity) write(out io.Writer) error {
	_, err := fmt.Fprintf(out, `nodes                  %d, of which %d may be missing
cores of each node     %d, busy %.2f, %.2f while the clients of a node return
memory of each node    %s (memory.limit)
limits.connections     %d; %d clients on each node while nodes are missing
descriptors            %d (ulimit -n)
events                 %.0f per second, %.0f deliveries per second
bandwidth to clients   %s per second, of all nodes
redis                  %.0f messages per second to the nodes, %s per second, %s for journals
`, c.Nodes, c.Load.Spare, c.Load.Cores, c.CoresBusy, c.CoresReturn, mebibytes(c.MemoryBytes), c.LimitsConnections,
		c.Connections, c.Descriptors, c.EventsPerSecond, c.Deliveries, megabits(c.ClientBits), c.RedisMessages,
		megabits(c.RedisBits), mebibytes(c.RedisMemoryBytes))
	return err
}

// writeCapacityRows prints a row for each number of agents.
func writeCapacityRows(out io.Writer, l load) error {
	text := []byte("| agents | nodes | clients per node | cores busy | while clients return | memory.limit " +
		"| descriptors | deliveries/s | to clients | Redis messages/s | journals |\n" +
		"|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, agents := range []int{500, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000} {
		l.Agents = agents
		c := l.compute()
		text = fmt.Appendf(text, "| %d | %d | %d | %.2f | %.2f | %s | %d | %.0f | %s/s | %.0f | %s |\n", agents, c.Nodes,
			c.Connections, c.CoresBusy, c.CoresReturn, mebibytes(c.MemoryBytes), c.Descriptors, c.Deliveries,
			megabits(c.ClientBits), c.RedisMessages, mebibytes(c.RedisMemoryBytes))
	}
	_, err := out.Write(text)
	return err
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

func megabits(n float64) string { return fmt.Sprintf("%.1f Mbit", n/1e6) }
