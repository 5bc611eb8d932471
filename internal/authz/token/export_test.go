package token

// CountKeys reads a key set and says how many of its keys are fit for signatures.
func CountKeys(data []byte) (int, error) {
	keys, err := parseKeySet(data)
	return len(keys), err
}

// Members splits a JSON object, which must be valid JSON, into its members.
func Members(data []byte) (map[string]string, error) {
	o, err := parseObject(data)
	members := map[string]string{}
	for _, m := range o {
		members[string(m.name)] = string(m.value)
	}
	return members, err
}

// KnownHeaders says how many headers are remembered.
func (v *Verifier) KnownHeaders() int {
	if list := v.headers.list.Load(); list != nil {
		return len(*list)
	}
	return 0
}
