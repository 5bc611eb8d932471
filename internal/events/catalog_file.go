package events

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxCatalogBytes bounds the size of a file that describes events.
const maxCatalogBytes = 1 << 20

// catalogFile is the form of catalog.yaml and of customers' own catalogs. JSON is a subset of YAML.
type catalogFile struct {
	Enums    []enumEntry     `yaml:"enums"`
	Envelope []propertyEntry `yaml:"envelope"`
	Common   []propertyEntry `yaml:"common"` // has the anchors that events refer to
	Events   []eventEntry    `yaml:"events"`
}

type enumEntry struct {
	Name        string `yaml:"name"`
	Type        string `yaml:"type"`
	Closed      bool   `yaml:"closed"`
	Description string `yaml:"description"`
	Values      []struct {
		Name        string `yaml:"name"`
		Value       *int   `yaml:"value"`
		Description string `yaml:"description"`
	} `yaml:"values"`
}

type propertyEntry struct {
	Name        string `yaml:"name"`
	Type        string `yaml:"type"`
	Values      string `yaml:"values"`
	Personal    *bool  `yaml:"personal"`
	In          string `yaml:"in"`
	Description string `yaml:"description"`
}

type eventEntry struct {
	Name          string          `yaml:"name"`
	Kind          string          `yaml:"kind"`
	TTLSeconds    *int            `yaml:"ttlSeconds"`
	ConflationKey []string        `yaml:"conflationKey"`
	Description   string          `yaml:"description"`
	Properties    []propertyEntry `yaml:"properties"`
}

// identifier matches names of events, properties and enumerations. So it bounds what a catalog can put into results,
// documents and logs.
var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

func checkName(name string) error {
	if !identifier.MatchString(name) {
		return fmt.Errorf("name %.80q: must be at most 64 letters, digits and underscores", name)
	}
	return nil
}

// readCatalog reads a file. It looks up names that are not in the file in base, which may be nil.
func readCatalog(text []byte, base *Catalog) (*source, error) {
	if len(text) > maxCatalogBytes {
		return nil, fmt.Errorf("the file has %d bytes, more than %d", len(text), maxCatalogBytes)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file catalogFile
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one document")
	}
	s := &source{careful: base != nil}
	if base != nil {
		s.enums, s.envelope, s.definitions = slices.Clone(base.enums), base.envelope, slices.Clone(base.definitions)
		if len(file.Envelope) > 0 {
			return nil, errors.New("envelope: cannot be changed, it is the same for all events")
		}
	}
	return s, s.add(&file)
}

// source has the parts of a catalog.
type source struct {
	careful     bool // text is personal unless the file says otherwise
	enums       []*Enum
	envelope    []Property
	definitions []Definition
}

func (s *source) add(file *catalogFile) error {
	for i := range file.Enums {
		if err := s.addEnum(&file.Enums[i]); err != nil {
			return fmt.Errorf("enums[%d] %.80s: %w", i, file.Enums[i].Name, err)
		}
	}
	for i := range file.Envelope {
		p, err := s.property(&file.Envelope[i])
		if err != nil {
			return fmt.Errorf("envelope[%d] %.80s: %w", i, file.Envelope[i].Name, err)
		}
		p.Envelope = true
		s.envelope = append(s.envelope, p)
	}
	for i := range file.Events {
		if err := s.addEvent(&file.Events[i]); err != nil {
			return fmt.Errorf("events[%d] %.80s: %w", i, file.Events[i].Name, err)
		}
	}
	return nil
}

func (s *source) enum(name string) *Enum {
	for _, e := range s.enums {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func (s *source) addEnum(entry *enumEntry) error {
	if err := checkName(entry.Name); err != nil {
		return err
	}
	if _, _, taken := parseValueType(entry.Name); taken || s.enum(entry.Name) != nil {
		return errors.New("the name is taken")
	}
	e := &Enum{Name: entry.Name, Description: entry.Description, Closed: entry.Closed, Type: TypeEnum}
	if entry.Type != TypeEnum.String() {
		var ok bool
		if e.Type, _, ok = parseValueType(entry.Type); !ok || !e.Type.canHaveValues() {
			return fmt.Errorf("type %.80q: must be string, short, int, long or enum", entry.Type)
		}
	}
	if e.Closed && len(entry.Values) == 0 {
		return errors.New("a closed enumeration must have values")
	}
	for i, v := range entry.Values {
		value := EnumValue{Name: v.Name, Description: v.Description}
		switch {
		case checkName(v.Name) != nil:
			return fmt.Errorf("values[%d]: %w", i, checkName(v.Name))
		case (e.Type == TypeString) != (v.Value == nil):
			return fmt.Errorf("values[%d] %s: a number must have a value, a string must not", i, v.Name)
		case v.Value != nil:
			value.Number = *v.Value
		}
		e.Values = append(e.Values, value)
	}
	s.enums = append(s.enums, e)
	return nil
}

// canHaveValues reports whether the values of an enumeration can have this type.
func (t ValueType) canHaveValues() bool {
	return t == TypeString || t == TypeShort || t == TypeInt || t == TypeLong
}

func (s *source) property(entry *propertyEntry) (Property, error) {
	if err := checkName(entry.Name); err != nil {
		return Property{}, err
	}
	p := Property{Name: entry.Name, Published: entry.Type, Description: entry.Description}
	var name string
	name, p.Nullable = strings.CutSuffix(entry.Type, "?")
	var ok bool
	if p.Type, p.Element, ok = parseValueType(name); !ok {
		if p.Enum = s.enum(name); p.Enum == nil {
			return Property{}, fmt.Errorf("type %.80q is unknown", entry.Type)
		}
		p.Type = p.Enum.Type
	}
	if p.Type == TypeList && checkName(p.Element) != nil {
		return Property{}, fmt.Errorf("type %.80q: the list must name the type of its elements", entry.Type)
	}
	if entry.Values != "" {
		switch p.Enum = s.enum(entry.Values); {
		case p.Enum == nil:
			return Property{}, fmt.Errorf("values %.80q: unknown enumeration", entry.Values)
		case p.Enum.Type != p.Type:
			return Property{}, fmt.Errorf("values %s: has type %s, not %s", p.Enum.Name, p.Enum.Type, p.Type)
		}
	}
	p.Personal = s.isPersonal(entry, &p)
	switch entry.In {
	case "":
	case "sample":
		p.Place = InSample
	case "table":
		p.Place = InTable
	default:
		return Property{}, fmt.Errorf("in %.80q: must be sample or table", entry.In)
	}
	return p, nil
}

// isPersonal reports whether the values of a property are personal. An old file has no such marks: text without a mark
// counts as personal.
func (s *source) isPersonal(entry *propertyEntry, p *Property) bool {
	switch {
	case entry.Personal != nil:
		return *entry.Personal
	case p.Type == TypeDictionary || p.Type == TypeList || p.Type == TypeObject:
		return true
	default:
		return s.careful && p.Type == TypeString && p.Enum == nil
	}
}

func (s *source) addEvent(entry *eventEntry) error {
	if err := checkName(entry.Name); err != nil {
		return err
	}
	for i := range s.definitions {
		if strings.EqualFold(s.definitions[i].Name, entry.Name) {
			return errors.New("the event exists already")
		}
	}
	kind, ok := ParseKind(entry.Kind)
	if !ok {
		return fmt.Errorf("kind %.80q: must be User, Queue or CallList", entry.Kind)
	}
	if entry.TTLSeconds == nil || *entry.TTLSeconds < never {
		return errors.New("ttlSeconds: must be a number of seconds, or -1")
	}
	d := Definition{
		Name: entry.Name, Kind: kind, TTLSeconds: *entry.TTLSeconds, Description: entry.Description,
		ConflationKey: entry.ConflationKey,
	}
	for i := range entry.Properties {
		p, err := s.property(&entry.Properties[i])
		if err == nil && (has(d.Properties, p.Name) || has(s.envelope, p.Name)) {
			err = errors.New("the property exists already")
		}
		if err != nil {
			return fmt.Errorf("properties[%d] %.80s: %w", i, entry.Properties[i].Name, err)
		}
		d.Properties = append(d.Properties, p)
	}
	if len(d.ConflationKey) > maxConflationKey {
		return fmt.Errorf("conflationKey: must have at most %d properties", maxConflationKey)
	}
	for _, name := range d.ConflationKey {
		if !has(d.Properties, name) && !has(s.envelope, name) {
			return fmt.Errorf("conflationKey: unknown property %.80s", name)
		}
	}
	s.definitions = append(s.definitions, d)
	return nil
}

// has reports whether properties has a name. Case is ignored: names that differ only in case can be equal in camel
// case.
func has(properties []Property, name string) bool {
	return slices.ContainsFunc(properties, func(p Property) bool { return strings.EqualFold(p.Name, name) })
}
