package simulator

import (
	"fmt"
	"strings"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// Organization has the users, queues and call lists of a call centre. Do not change it while it is in use.
type Organization struct {
	ID        events.ID
	Name      string
	Queues    []Queue
	Users     []User
	CallLists []CallList
}

// Queue is a service queue.
type Queue struct {
	ID     events.ID
	Name   string
	Number string
	// Overflow is the queue for callers who waited too long; zero: none.
	Overflow events.ID
}

// User is an agent or a supervisor.
type User struct {
	ID     events.ID
	Name   string
	Login  string // as UserName in events
	Number string
	Role   authz.Role
	Queues []events.ID // queues that the user serves
}

// CallList is a list of callbacks.
type CallList struct {
	ID    events.ID
	Name  string
	Queue events.ID // the queue whose callers it has
}

// Entity is one element of the answer to GET /demo/entities.
type Entity struct {
	ID   string `json:"entityId"`
	Type string `json:"entityType"`
	Name string `json:"name"`
}

// The ids of the demo organization are these, with the number of the entity in the last digits. So they are constant
// and easy to type.
const (
	organizationID = "0d000000-0000-4000-8000-000000000001"
	userIDs        = "0d000000-0000-4000-8000-0000000001%02d"
	queueIDs       = "0d000000-0000-4000-8000-0000000002%02d"
	callListIDs    = "0d000000-0000-4000-8000-0000000003%02d"
)

// The indexes of the queues in the organization.
const (
	customerService = iota
	technicalSupport
	sales
	billing
)

// NewOrganization returns the demo organization. It is equal each time.
func NewOrganization() *Organization {
	o := &Organization{ID: mustID(organizationID), Name: "Havukka Communications"}
	for i, name := range []string{"Customer Service", "Technical Support", "Sales", "Billing"} {
		o.Queues = append(o.Queues, Queue{
			ID: mustID(fmt.Sprintf(queueIDs, i+1)), Name: name, Number: fmt.Sprintf("+3589000%03d", 100+i),
		})
	}
	o.Queues[sales].Overflow = o.Queues[customerService].ID
	o.Queues[billing].Overflow = o.Queues[customerService].ID

	for i, u := range []struct {
		name   string
		role   authz.Role
		queues []int
	}{
		{"Aino Virtanen", authz.RoleSupervisor, nil},
		{"Oliver Hughes", authz.RoleSupervisor, nil},
		{"Eero Korhonen", authz.RoleAgent, []int{customerService, billing}},
		{"Emma Whitfield", authz.RoleAgent, []int{customerService, sales}},
		{"Helmi Nieminen", authz.RoleAgent, []int{customerService}},
		{"Jack Thornton", authz.RoleAgent, []int{technicalSupport}},
		{"Ilona Laaksonen", authz.RoleAgent, []int{customerService, billing}},
		{"George Pemberton", authz.RoleAgent, []int{technicalSupport, customerService}},
		{"Juhani Heikkinen", authz.RoleAgent, []int{technicalSupport}},
		{"Kaisa Salmela", authz.RoleAgent, []int{sales}},
		{"Lauri Rantanen", authz.RoleAgent, []int{sales, customerService}},
		{"Lucy Ashworth", authz.RoleAgent, []int{billing}},
		{"Matti Koskinen", authz.RoleAgent, []int{technicalSupport}},
		{"Noora Hakala", authz.RoleAgent, []int{customerService, sales, billing}},
		{"Otso Peltonen", authz.RoleAgent, []int{technicalSupport, billing}},
		{"Sophie Bennett", authz.RoleAgent, []int{customerService}},
		{"Saara Lehtinen", authz.RoleAgent, []int{sales}},
		{"Tapio Jokinen", authz.RoleAgent, []int{technicalSupport}},
		{"Venla Aaltonen", authz.RoleAgent, []int{billing, customerService}},
		{"William Carter", authz.RoleAgent, []int{sales, technicalSupport}},
	} {
		user := User{
			ID: mustID(fmt.Sprintf(userIDs, i+1)), Name: u.name, Role: u.role,
			Login:  strings.ReplaceAll(strings.ToLower(u.name), " ", ".") + "@havukka.example",
			Number: fmt.Sprintf("+3589000%03d", 200+i),
		}
		for _, q := range u.queues {
			user.Queues = append(user.Queues, o.Queues[q].ID)
		}
		o.Users = append(o.Users, user)
	}

	for i, l := range []struct {
		name  string
		queue int
	}{{"Customer Service callbacks", customerService}, {"Contract renewals", sales}} {
		o.CallLists = append(o.CallLists, CallList{
			ID: mustID(fmt.Sprintf(callListIDs, i+1)), Name: l.name, Queue: o.Queues[l.queue].ID,
		})
	}
	return o
}

// Generate returns an organization with a number of agents, some supervisors, and a queue with a call list for each 25
// agents. It is equal each time.
func Generate(agents int) *Organization {
	const kinds = "0d000000-0000-4000-8000-%02d%010d"
	o := &Organization{ID: mustID(organizationID), Name: "Generated"}
	queues := max(1, agents/25)
	for i := range queues {
		o.Queues = append(o.Queues, Queue{
			ID: mustID(fmt.Sprintf(kinds, 2, i)), Name: fmt.Sprintf("Queue %d", i+1), Number: fmt.Sprintf("+3589%06d", i),
		})
		o.CallLists = append(o.CallLists, CallList{
			ID: mustID(fmt.Sprintf(kinds, 3, i)), Name: fmt.Sprintf("Callbacks %d", i+1), Queue: o.Queues[i].ID,
		})
	}
	for i := range queues - 1 { // the last one has no overflow
		o.Queues[i].Overflow = o.Queues[i+1].ID
	}
	supervisors := max(1, agents/50)
	for i := range supervisors + agents {
		user := User{
			ID: mustID(fmt.Sprintf(kinds, 1, i)), Name: fmt.Sprintf("Agent %d", i-supervisors+1), Role: authz.RoleAgent,
			Login: fmt.Sprintf("user.%d@generated.example", i), Number: fmt.Sprintf("+3588%06d", i),
		}
		if i < supervisors {
			user.Name, user.Role = fmt.Sprintf("Supervisor %d", i+1), authz.RoleSupervisor
		} else {
			user.Queues = append(user.Queues, o.Queues[i%queues].ID)
			if second := (i / queues) % queues; second != i%queues {
				user.Queues = append(user.Queues, o.Queues[second].ID)
			}
		}
		o.Users = append(o.Users, user)
	}
	return o
}

// Entities returns the queues, the users and the call lists.
func (o *Organization) Entities() []Entity {
	entities := make([]Entity, 0, len(o.Queues)+len(o.Users)+len(o.CallLists))
	for _, q := range o.Queues {
		entities = append(entities, Entity{q.ID.String(), events.KindQueue.String(), q.Name})
	}
	for i := range o.Users {
		u := &o.Users[i]
		entities = append(entities, Entity{u.ID.String(), events.KindUser.String(), u.Name})
	}
	for _, l := range o.CallLists {
		entities = append(entities, Entity{l.ID.String(), events.KindCallList.String(), l.Name})
	}
	return entities
}

// User returns the user with an id, or nil.
func (o *Organization) User(id events.ID) *User {
	for i := range o.Users {
		if o.Users[i].ID == id {
			return &o.Users[i]
		}
	}
	return nil
}

// mustID parses an id of this package.
func mustID(text string) events.ID {
	id, ok := events.ParseID(text)
	if !ok {
		panic("simulator: not an id: " + text)
	}
	return id
}
