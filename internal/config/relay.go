package config

import (
	"errors"
	"net"
)

// Relay is the port for other nodes: they pass requests of clients on to the node that has their connection.
type Relay struct {
	Listen      string
	Advertise   string
	Connections int
}

// addRelay adds the keys of relay.
func (k *keyList) addRelay(r *Relay) {
	k.text(&r.Listen, "relay.listen", "",
		"address for other nodes, as host:port, such as :8090; a client may then continue its connection through any node; "+
			"empty: only through the node that has it")
	k.text(&r.Advertise, "relay.advertise", "",
		"address by which other nodes reach relay.listen, as host or host:port; empty: the host of relay.listen, or the "+
			"address of this machine on the way to Redis")
	positive(k.count(&r.Connections, "relay.connections", 10_000,
		"sockets and requests of clients that this node passes on to other nodes at a time; further clients make new "+
			"connections"))
}

// checkRelay checks the keys of relay.
func (p *problems) checkRelay(c *Config) {
	r := &c.Relay
	if r.Listen == "" {
		if r.Advertise != "" {
			p.add("relay.listen", "must be set for relay.advertise to have a meaning")
		}
		return
	}
	if err := checkAddress(r.Listen); err != nil {
		p.add("relay.listen", "%v", err)
	}
	for key, address := range map[string]string{"listen": c.Listen, "console.listen": c.Console.Listen} {
		if address != "" && overlap(r.Listen, address) {
			p.add("relay.listen", "must have another port than %s (%s)", key, address)
		}
	}
	if err := checkAdvertised(r.Advertise); err != nil {
		p.add("relay.advertise", "%v", err)
	}
}

// maxAdvertised bounds an address that nodes announce to each other.
const maxAdvertised = 256

// checkAdvertised checks an address with or without a port; empty: there is none.
func checkAdvertised(address string) error {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		if err := checkAddress(address); err != nil {
			return err
		}
		host = h
	}
	if address != "" && host == "" || len(address) > maxAdvertised {
		return errors.New("must be host or host:port, as other nodes reach it")
	}
	return nil
}
