package loadgen

import "testing"

// TestResult_countsDeliveries checks the counts of deliveries.
func TestResult_countsDeliveries(t *testing.T) {
	c := &client{last: map[int]int{}}
	for _, number := range []int{1, 2, 2, 4, 3, 5} { // 2 comes twice, 3 late
		c.count(7, number, publishTick)
	}
	if r := c.result; r.delivered != 5 || r.duplicates != 1 || r.disordered != 1 || r.quantile(0.99) != publishTick {
		t.Errorf(
			"delivered %d, duplicates %d, disordered %d, p99 %s", r.delivered, r.duplicates, r.disordered, r.quantile(0.99),
		)
	}
	l := &Load{Clients: 3, Topics: 4, Subscriptions: 2}
	// Subscribers of the topics: 2, 2, 1, 1. Two of five events are of the first topic.
	if got := l.expected(5); got != 2*2+2+1+1 {
		t.Errorf("expected %d", got)
	}
}
