package console

import (
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	// maxFailures is the number of wrong tokens that one address may send in failureWindow before it gets 429.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxFailing bounds the remembered addresses; further addresses share one count.
	maxFailing = 4096
	// networkBits is the part of an IPv6 address that counts: one user may have all addresses of such a network.
	networkBits = 64
)

// failures counts wrong tokens by the address that sent them. Its methods may be called from any goroutine.
type failures struct {
	mu     sync.Mutex
	failed map[netip.Addr]*failing // guarded by mu; the zero address: all addresses without room
}

// failing is an address with wrong tokens.
type failing struct {
	count int
	since time.Time
}

func newFailures(reg prometheus.Registerer) *failures {
	f := &failures{failed: map[netip.Addr]*failing{}}
	auto := promauto.With(reg)
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_console_failing_addresses", Help: "Addresses that sent a wrong token to the operator port lately.",
	}, func() float64 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sweepLocked(time.Now())
		return float64(len(f.failed))
	})
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_console_failing_addresses_capacity",
		Help: "Addresses that have a count of their own; further ones share one.",
	}, func() float64 { return maxFailing })
	return f
}

// add counts a wrong token. If the address has sent too many, it returns how long it has to wait; otherwise 0.
func (f *failures) add(remote string, now time.Time) (wait time.Duration) {
	address := addressOf(remote)
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.failed[address]
	if entry == nil && len(f.failed) >= maxFailing {
		if f.sweepLocked(now); len(f.failed) >= maxFailing {
			address = netip.Addr{}
			entry = f.failed[address]
		}
	}
	if entry == nil || now.Sub(entry.since) >= failureWindow {
		entry = &failing{since: now}
		f.failed[address] = entry
	}
	if entry.count++; entry.count <= maxFailures {
		return 0
	}
	return failureWindow - now.Sub(entry.since)
}

// sweepLocked forgets the addresses whose window is over.
func (f *failures) sweepLocked(now time.Time) {
	for address, entry := range f.failed {
		if now.Sub(entry.since) >= failureWindow {
			delete(f.failed, address)
		}
	}
}

// addressOf returns the address of a request, or its network for IPv6. Zero: unknown.
func addressOf(remote string) netip.Addr {
	port, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	address := port.Addr().Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(networkBits); err == nil {
			return network.Addr()
		}
	}
	return address
}
