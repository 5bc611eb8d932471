package config

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// keyList is the list of all configuration keys. It has a flag for each key, which writes into a Config. Files, the
// environment and the command line all set keys through these flags.
type keyList struct {
	flags       *pflag.FlagSet
	secrets     map[string]bool    // keys whose values are never shown
	secretFiles map[string]*string // the values of their keys with fileSuffix
	reloads     map[string]string  // how a running server takes over a new value; other keys need a restart
}

// newKeyList makes the list of the keys of c and sets c to the defaults. The order of the keys is that of the
// documentation.
func newKeyList(c *Config) *keyList {
	k := &keyList{
		flags:   pflag.NewFlagSet("configuration", pflag.ContinueOnError),
		secrets: map[string]bool{}, secretFiles: map[string]*string{}, reloads: map[string]string{},
	}
	k.flags.SortFlags = false
	k.addPorts(c)
	k.addRelay(&c.Relay)
	k.addAuth(&c.Auth)
	k.addDirectory(c)
	k.addRedis(&c.Redis)
	k.addEvents(c)
	k.addLimits(c)
	k.addTimeouts(&c.Timeouts)
	k.addInternals(c)
	k.addTracing(&c.Tracing)
	k.addProcess(c)
	k.addRanges()
	k.markReloads()
	return k
}

func (k *keyList) text(target *string, key, byDefault, help string) {
	*target = byDefault
	k.flags.Var((*text)(target), key, help)
}

// secret adds a text without a default whose value is never shown, and the key of a file that can hold it.
func (k *keyList) secret(target *string, key, help string) {
	k.text(target, key, "", help)
	k.secrets[key] = true
	k.secretFiles[key] = new(string)
	k.text(k.secretFiles[key], key+fileSuffix, "", "file with "+key+", instead of that key; the server watches it")
}

// portTLS adds the files of TLS of a port.
func (k *keyList) portTLS(target *PortTLS, prefix, port string) {
	k.text(&target.CertFile, prefix+".cert_file", "",
		"PEM file with the certificate of "+port+" and those of its issuers; the server watches it; none: no TLS")
	k.text(&target.KeyFile, prefix+".key_file", "", "PEM file with the key of that certificate; the server watches it")
}

func (k *keyList) list(target *[]string, key, help string) {
	k.flags.Var((*list)(target), key, help)
}

func (k *keyList) choice(target *string, key, byDefault string, among []string, help string) {
	*target = byDefault
	k.flags.Var(choice{target, among}, key, help)
}

func (k *keyList) toggle(target *bool, key string, byDefault bool, help string) {
	*target = byDefault
	k.flags.VarPF((*toggle)(target), key, "", help).NoOptDefVal = "true"
}

func (k *keyList) count(target *int, key string, byDefault int, help string) *pflag.Flag {
	*target = byDefault
	return k.flags.VarPF((*count)(target), key, "", help)
}

func (k *keyList) size(target *int, key string, byDefault int, help string) *pflag.Flag {
	*target = byDefault
	return k.flags.VarPF((*size)(target), key, "", help)
}

func (k *keyList) span(target *time.Duration, key string, byDefault time.Duration, help string) *pflag.Flag {
	*target = byDefault
	return k.flags.VarPF((*span)(target), key, "", help)
}

// positive refuses 0 for a number for which 0 has no meaning: a part would take it for its default or for no bound at
// all.
func positive(f *pflag.Flag) { f.Value = notZero{f.Value} }

// setDefault replaces the default of a key.
func (k *keyList) setDefault(key, value string) {
	flag := k.flags.Lookup(key)
	if err := flag.Value.Set(value); err != nil {
		panic(fmt.Sprintf("default of %s: %v", key, err))
	}
	flag.DefValue = value
}
