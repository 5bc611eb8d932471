package redis_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/rte-server/rte-server/internal/backplane/redis/command"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// BenchmarkRedisCost measures the processor time of Redis per event of 1 KB, for docs/redis.md: events of each tier,
// published in pipelines of 100, to subscribers that discard them.
func BenchmarkRedisCost(b *testing.B) {
	const lane = "rte:org:29f6e823-b484-e611-80c9-00505689257e"
	journal, counter := "rte:j:{"+lane+"}", "rte:n:{"+lane+"}"
	event := strings.Repeat("x", 1024)
	for _, test := range []struct {
		name    string
		publish func(goredis.Pipeliner)
	}{
		{"T0", func(p goredis.Pipeliner) { p.Publish(b.Context(), lane, event) }},
		{"T1", func(p goredis.Pipeliner) {
			p.Do(b.Context(), "MULTI") // Do: the answers to queued commands have another type
			p.Do(b.Context(), "XADD", journal, "MAXLEN", "~", 5000, "*", "d", event)
			p.Do(b.Context(), "EXPIRE", journal, 600)
			p.Do(b.Context(), "PUBLISH", lane, event)
			p.Do(b.Context(), "EXEC")
		}},
		{"T2", func(p goredis.Pipeliner) {
			p.FCall(b.Context(), "rte_publish", []string{journal, counter}, lane, event, 5000, 0)
		}},
	} {
		for _, subscribers := range []int{0, 1, 4} {
			b.Run(fmt.Sprintf("%s/nodes=%d", test.name, subscribers), func(b *testing.B) {
				server := rtetest.MustStartRedis(b, "--client-output-buffer-limit", "pubsub 0 0 0")
				client := server.Client()
				defer client.Close()
				if err := client.FunctionLoad(b.Context(), command.Functions()).Err(); err != nil {
					b.Fatal(err)
				}
				for range subscribers {
					conn, err := net.Dial("tcp", server.Addr)
					if err != nil {
						b.Fatal(err)
					}
					defer conn.Close()
					if _, err := io.WriteString(conn, "SUBSCRIBE "+lane+"\r\n"); err != nil {
						b.Fatal(err)
					}
					go func() { _, _ = io.Copy(io.Discard, conn) }()
				}
				before := redisCPU(b, client)
				b.ResetTimer()
				for n := 0; n < b.N; n += 100 {
					pipe := client.Pipeline()
					for range 100 {
						test.publish(pipe)
					}
					if _, err := pipe.Exec(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((redisCPU(b, client)-before)*1e6/float64(b.N), "redis-us/op")
			})
		}
	}
}

// redisCPU returns the processor time that a server has used, in seconds.
func redisCPU(b *testing.B, client *goredis.Client) (seconds float64) {
	b.Helper()
	info, err := client.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			seconds += n
		}
	}
	return seconds
}
