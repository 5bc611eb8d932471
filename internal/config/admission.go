package config

import "time"

// Admission bounds how fast clients come in.
type Admission struct {
	Rate, Burst    int
	Wait, FullWait time.Duration
}

// mostAdmissionWait is the longest wait that load balancers and clients have patience for. Proxies wait 30 to 60 s for
// an answer.
const mostAdmissionWait = 25 * time.Second

// addAdmission adds the keys of clients that come all at once.
func (k *keyList) addAdmission(a *Admission) {
	k.count(&a.Rate, "admission.rate", 0,
		"clients per second that may connect to this node; those that come faster wait for the answer to their "+
			"negotiate, organizations in turn; 0: no limit")
	k.count(&a.Burst, "admission.burst", 0, "clients that may come at once beyond that rate; 0: as many as in a second")
	k.span(&a.Wait, "admission.wait", 20*time.Second,
		"how long a client waits at most because of admission.rate; then it gets 503. Java clients have patience for 10 s")
	k.span(&a.FullWait, "admission.full_wait", 5*time.Second,
		"how long a client waits at most for a place on a node with limits.connections connections; then it gets 503")
}

func (p *problems) checkAdmission(a *Admission) {
	if a.Burst > 0 && a.Rate == 0 {
		p.add("admission.burst", "has no meaning without admission.rate")
	}
	if a.Rate > 0 && a.Wait == 0 {
		p.add("admission.wait", "must not be 0 with admission.rate: every client beyond the burst would be refused")
	}
}

// addAdmission warns of waits that end with a timeout somewhere else.
func (w *warnings) addAdmission(a *Admission) {
	for key, wait := range map[string]time.Duration{"admission.wait": a.Wait, "admission.full_wait": a.FullWait} {
		w.add(wait > mostAdmissionWait, key, "above %s, load balancers and clients give up before the node answers",
			timeOf(mostAdmissionWait))
	}
}
