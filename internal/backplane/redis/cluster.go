package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/wakeup"
)

const (
	slotCount = 16384
	// refreshInterval is how often the node reads which server has which slots. refreshPause is the least time between
	// two such reads when something indicates a change.
	refreshInterval = time.Second
	refreshPause    = 50 * time.Millisecond
	// views is how many servers are read: a server that was cut off from the others does not know that it lost its
	// slots.
	views = 3
)

// cluster keeps a link to every master of a Redis Cluster that has slots, and assigns every lane to the link of its
// slot.
type cluster struct {
	b       *Backplane
	changed wakeup.Signal // set to refresh at once

	slots [slotCount]*group // guarded by index.mu; nil: the owner of the slot is unknown

	mu        sync.Mutex
	known     []string                  // guarded by mu; addresses of servers to read from
	servers   map[string]*clusterServer // guarded by mu; by address
	uncovered int                       // guarded by mu; slots without a master

	running sync.WaitGroup // the links, including those that ended
}

// clusterServer has the running links to a server.
type clusterServer struct {
	*group
	stop context.CancelFunc
}

func newCluster(b *Backplane) *cluster {
	return &cluster{
		b:       b,
		changed: wakeup.New(),
		known:   slices.Clone(b.options.Addresses),
		servers: map[string]*clusterServer{},
	}
}

// refresh requests a new view of the cluster.
func (c *cluster) refresh() { c.changed.Set() }

// run follows the cluster until ctx ends.
func (c *cluster) run(ctx context.Context) {
	defer c.stop()
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if owners, err := c.look(ctx); err == nil {
			c.follow(ctx, owners)
		} else if ctx.Err() == nil {
			c.b.log.Warn("cluster not seen", func() []zap.Field { return []zap.Field{zap.Error(err)} })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(refreshPause):
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-c.changed.C():
		}
	}
}

// stop ends all links and waits for them.
func (c *cluster) stop() {
	c.mu.Lock()
	servers := c.servers
	c.servers = nil
	c.mu.Unlock()
	for _, k := range servers {
		k.stop()
	}
	c.running.Wait()
}

// owner is the server that claims a slot, and the configuration epoch of the claim.
type owner struct {
	address string
	epoch   uint64
}

// look reads from some servers which server has which slots. If they disagree, the latest configuration wins.
func (c *cluster) look(ctx context.Context) (owners []owner, err error) {
	c.mu.Lock()
	known := slices.Clone(c.known)
	c.mu.Unlock()
	rand.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] }) //nolint:gosec // no secret
	owners = make([]owner, slotCount)
	seen := 0
	for _, address := range known {
		text, failed := c.b.options.clusterView(ctx, address)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		claim(owners, text, address)
		if seen++; seen == views {
			break
		}
	}
	if seen == 0 {
		return nil, err
	}
	return owners, nil
}

// claim enters the slots of the masters in a view (CLUSTER NODES) of the server at the address queried. go-redis
// parses CLUSTER SLOTS and SHARDS, which lack the configuration epoch.
func claim(owners []owner, view, queried string) {
	for line := range strings.Lines(view) {
		fields := strings.Fields(line)
		if len(fields) < 9 {
			continue
		}
		flags := strings.Split(fields[2], ",")
		if !slices.Contains(flags, "master") || slices.Contains(flags, "fail") || slices.Contains(flags, "noaddr") {
			continue
		}
		address, ok := announced(fields[1], queried)
		epoch, err := strconv.ParseUint(fields[6], 10, 64)
		if !ok || err != nil {
			continue
		}
		for _, r := range fields[8:] {
			for s, last := slotRange(r); s <= last; s++ {
				if owners[s].address == "" || epoch > owners[s].epoch {
					owners[s] = owner{address, epoch}
				}
			}
		}
	}
}

// announced parses the address in "ip:port@busport,hostname". An IPv6 address has no brackets there. A single server
// does not know its own address; then the address is that of the server that was read.
func announced(text, queried string) (address string, ok bool) {
	text, _, _ = strings.Cut(text, "@")
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", false
	}
	host := text[:colon]
	if host == "" {
		host, _, _ = net.SplitHostPort(queried)
	}
	return net.JoinHostPort(host, text[colon+1:]), true
}

// slotRange parses "7" or "7-9". For anything else, such as a slot that is being moved, last is less than first.
func slotRange(text string) (first, last int) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.Atoi(from)
	if err != nil {
		return 0, -1
	}
	last = first
	if isRange {
		if last, err = strconv.Atoi(to); err != nil {
			return 0, -1
		}
	}
	if first < 0 || last >= slotCount {
		return 0, -1
	}
	return first, last
}

// follow starts links to new masters, moves the lanes of slots that moved, and ends the links that have no slots left.
func (c *cluster) follow(ctx context.Context, owners []owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	needed := map[string]*group{}
	var known []string
	c.uncovered = 0
	for _, o := range owners {
		if o.address == "" {
			c.uncovered++
			continue
		}
		if needed[o.address] != nil {
			continue
		}
		k := c.servers[o.address]
		if k == nil {
			k = c.start(ctx, o.address)
			c.servers[o.address] = k
		}
		needed[o.address] = k.group
		known = append(known, o.address)
	}
	c.known = append(known, c.b.options.Addresses...)
	changed := false
	c.b.index.reroute(func() bool {
		for s, o := range owners {
			changed = changed || c.slots[s] != needed[o.address]
			c.slots[s] = needed[o.address]
		}
		return changed
	})
	if changed {
		c.b.commands.Cluster().ReloadState(ctx) // go-redis would notice by itself, some seconds later
	}
	for address, k := range c.servers {
		if needed[address] == nil {
			delete(c.servers, address)
			k.stop()
		}
	}
}

func (c *cluster) start(ctx context.Context, address string) *clusterServer {
	k := &clusterServer{}
	k.group = newGroup(c.b, address, c.b.commands.Cluster(), fixed(address))
	for _, link := range k.links {
		link.canary = func(name string) string { return c.canary(k.group, name) }
	}
	ctx, k.stop = context.WithCancel(ctx)
	c.running.Go(func() { k.run(ctx) })
	return k
}

// canary returns a channel name in a slot of the server. If the master has no slot by now, it returns the name
// unchanged, which the server will refuse.
func (c *cluster) canary(g *group, name string) string {
	var own [slotCount]bool
	c.b.index.mu.Lock()
	for s := range own {
		own[s] = c.slots[s] == g
	}
	c.b.index.mu.Unlock()
	for i := range slotCount * 4 {
		if try := name + ":" + strconv.Itoa(i); own[slot(try)] {
			return try
		}
	}
	return name
}

// health is good when all links are healthy and every slot has one.
func (c *cluster) health() backplane.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.servers) == 0 {
		return backplane.Health{Detail: "cluster not seen yet"}
	}
	groups := make([]*group, 0, len(c.servers))
	for _, k := range c.servers {
		groups = append(groups, k.group)
	}
	h := health(groups)
	if h.Connected && c.uncovered > 0 {
		return backplane.Health{Detail: fmt.Sprintf("cluster: %d slots have no master", c.uncovered)}
	}
	return h
}

// slot returns the slot of a channel or a key: CRC16 of the text in the first braces, or of the whole name.
func slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if n := strings.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	var crc uint16
	for i := range len(key) {
		crc = crc<<8 ^ crc16[byte(crc>>8)^key[i]]
	}
	return int(crc % slotCount)
}

// crc16 is the table of CRC16 (CCITT, as in XMODEM) by byte. go-redis has one, but does not export it.
var crc16 = func() (values [1 << 8]uint16) {
	for i := range values {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc & 0x8000
			crc <<= 1
			if carry != 0 {
				crc ^= 0x1021
			}
		}
		values[i] = crc
	}
	return values
}()
