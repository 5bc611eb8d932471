package runner

import (
	"fmt"
	"time"
)

// Measurement is the result of one recorded step of a scenario with one peer.
type Measurement struct {
	Scenario string `json:"scenario"`
	Record   string `json:"record"`
	Peer     string `json:"peer"`
	Run      int    `json:"run"`
	Error    string `json:"error,omitempty"` // the scenario ended here

	Seconds       float64 `json:"seconds"`
	Connections   int     `json:"connections"`   // ready
	Subscriptions int     `json:"subscriptions"` // of all ready connections
	Failed        int     `json:"failed,omitempty"`
	FirstFailure  string  `json:"first_failure,omitempty"`

	BaseRSS int64 `json:"base_rss"` // bytes, of the server before the first connection
	RSS     int64 `json:"rss"`      // at the end
	// Sockets is the kernel's memory at the end for bytes in the server's sockets. Slab is the growth of the kernel's
	// objects of the whole machine since the server started: the sockets of both ends, and what others did meanwhile.
	Sockets int64 `json:"sockets"`
	Slab    int64 `json:"slab"`

	ServerCPU float64 `json:"server_cpu"` // seconds
	Kernel    float64 `json:"kernel"`     // fraction of it in system calls
	LoadCPU   float64 `json:"load_cpu"`   // seconds, of publisher, broker and clients
	// Others is the fraction of the core of the server, or of the load if that is larger, that other processes used. With
	// more than a few percent, latency and throughput mean little.
	Others float64 `json:"others"`

	Published uint64  `json:"published"` // events while measuring
	Offered   float64 `json:"offered"`   // planned events per second; 0: as many as are delivered
	Groups    []Group `json:"groups,omitempty"`
}

// Disturbed is the fraction of a core that other processes may use without a remark in the report.
const Disturbed = 0.05

// Group is the part of a measurement of one group of connections. Faults and closed connections count from the opening
// of the group, the rest while measuring.
type Group struct {
	Name       string  `json:"name"`
	Delivered  uint64  `json:"delivered"`
	Bytes      uint64  `json:"bytes"`
	P50        float64 `json:"p50"` // milliseconds
	P99        float64 `json:"p99"`
	P999       float64 `json:"p999"`
	Max        float64 `json:"max"`
	Open       int     `json:"open"`
	Closed     uint64  `json:"closed"`
	Missing    uint64  `json:"missing"`
	Late       uint64  `json:"late"`
	Duplicates uint64  `json:"duplicates"`
	Foreign    uint64  `json:"foreign"`
}

// use records the use of resources between two moments.
func (m *Measurement) use(before, after usage) {
	server, load := after.server.Sub(before.server), after.load.Sub(before.load)
	m.ServerCPU, m.LoadCPU = server.Total().Seconds(), load.Total().Seconds()
	m.Kernel = ratio(server.System.Seconds(), m.ServerCPU)
	elapsed := time.Duration(after.at - before.at).Seconds()
	for i, own := range []float64{m.ServerCPU, m.LoadCPU} {
		if after.together {
			own = m.ServerCPU + m.LoadCPU
		}
		busy := (after.cores[i] - before.cores[i]).Seconds()
		m.Others = max(m.Others, ratio(busy-own, elapsed))
	}
}

// Delivered returns the number of deliveries to all groups.
func (m *Measurement) Delivered() uint64 {
	var n uint64
	for _, g := range m.Groups {
		n += g.Delivered
	}
	return n
}

// PerSecond returns the number of deliveries per second.
func (m *Measurement) PerSecond() float64 { return ratio(float64(m.Delivered()), m.Seconds) }

// CPUPerDelivery returns the server's CPU time per delivery in microseconds, 0 if there was none.
func (m *Measurement) CPUPerDelivery() float64 {
	return ratio(m.ServerCPU*1e6, float64(m.Delivered()))
}

// CPUPerEvent returns the server's CPU time per published event in microseconds, 0 if there was none.
func (m *Measurement) CPUPerEvent() float64 { return ratio(m.ServerCPU*1e6, float64(m.Published)) }

// Busy returns the fraction of one core that the server used.
func (m *Measurement) Busy() float64 { return ratio(m.ServerCPU, m.Seconds) }

// Group returns the part of a group, nil if there is none.
func (m *Measurement) Group(name string) *Group {
	for i := range m.Groups {
		if m.Groups[i].Name == name {
			return &m.Groups[i]
		}
	}
	return nil
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// String returns a line for the progress of a run.
func (m *Measurement) String() string {
	text := fmt.Sprintf("%-10s %-10s %-10s", m.Scenario, m.Record, m.Peer)
	if m.Error != "" {
		return text + " ended: " + m.Error
	}
	text += fmt.Sprintf(" %d connections, %.1f s, %.0f %% of a core, %d MB",
		m.Connections, m.Seconds, 100*m.Busy(), m.RSS>>20)
	if n := m.Delivered(); n > 0 {
		text += fmt.Sprintf(", %.0f deliveries/s, %.2f us each", m.PerSecond(), m.CPUPerDelivery())
	}
	if m.Others > Disturbed {
		text += fmt.Sprintf(" (others used %.0f %% of a core)", 100*m.Others)
	}
	for _, g := range m.Groups {
		text += fmt.Sprintf("; %s: p50 %.2f p99 %.2f p999 %.2f max %.1f ms", g.Name, g.P50, g.P99, g.P999, g.Max)
		if faults := g.Missing + g.Late + g.Duplicates + g.Foreign + g.Closed; faults > 0 {
			text += fmt.Sprintf(", %d missing, %d late, %d duplicates, %d foreign, %d closed",
				g.Missing, g.Late, g.Duplicates, g.Foreign, g.Closed)
		}
	}
	return text
}
