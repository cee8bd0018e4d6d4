package job

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// newClient returns a client that does nothing but sweep, and what it logs, to be read when it is stopped.
func newClient() (*Client, *bytes.Buffer) {
	var logged bytes.Buffer
	return &Client{log: slog.New(slog.NewTextHandler(&logged, nil))}, &logged
}

func TestSweepRunsAtStartAndAtEveryInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient()
		began := time.Now()
		var runs []time.Duration
		c.Every("count", time.Second, func(context.Context) error {
			runs = append(runs, time.Since(began))
			return nil
		})
		c.sweeps.start(t.Context())
		time.Sleep(time.Minute)
		if err := c.sweeps.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(runs) == 0 || runs[0] != 0 {
			t.Fatalf("the first runs were after %v, want one at once", runs)
		}
		pauses := map[time.Duration]bool{}
		for i := 1; i < len(runs); i++ {
			pause := runs[i] - runs[i-1]
			pauses[pause] = true
			if pause < 800*time.Millisecond || pause > 1200*time.Millisecond {
				t.Errorf("a pause was %s, want a second give or take a fifth", pause)
			}
		}
		if len(pauses) < 10 {
			t.Errorf("the pauses were only %v, so replicas never drift apart", pauses)
		}
	})
}

func TestNudgesAreOneRunAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient()
		runs, running := 0, false
		nudge := c.Every("slow", time.Hour, func(context.Context) error {
			if running {
				t.Error("a run overlaps another")
			}
			running = true
			runs++
			time.Sleep(time.Second)
			running = false
			return nil
		})
		c.sweeps.start(t.Context())
		synctest.Wait() // The first run is under way.
		for range 100 {
			nudge()
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if runs != 2 {
			t.Errorf("%d runs after 100 nudges during the first, want a second", runs)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if runs != 2 {
			t.Errorf("%d runs later, want no more", runs)
		}
		if err := c.sweeps.wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSweepThatFailsIsLoggedOnceAMinuteAndGoesOn(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]func() error{
		"an error": func() error { return errors.New("no luck") },
		"a panic":  func() error { panic("no luck") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, logged := newClient()
				began := time.Now()
				runs := 0
				c.Every("unlucky", time.Second, func(context.Context) error {
					runs++
					if time.Since(began) < 150*time.Second {
						return failure()
					}
					return nil
				})
				c.sweeps.start(t.Context())
				time.Sleep(5 * time.Minute)
				if err := c.sweeps.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if runs < 200 {
					t.Errorf("it was run %d times in five minutes", runs)
				}
				text := logged.String()
				if n := strings.Count(text, "no luck"); n != 3 {
					t.Errorf("the failure was logged %d times in two and a half minutes, want 3:\n%s", n, text)
				}
				if n := strings.Count(text, "works again"); n != 1 {
					t.Errorf("that it works again was logged %d times, want once:\n%s", n, text)
				}
			})
		})
	}
}

func TestRunThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newClient()
		began := time.Now()
		var ended []time.Duration
		c.Every("hangs", time.Second, func(ctx context.Context) error {
			<-ctx.Done()
			ended = append(ended, time.Since(began))
			return ctx.Err()
		})
		c.sweeps.start(t.Context())
		time.Sleep(2*runTimeout + 2*time.Second)
		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.sweeps.wait(stopped); err != nil {
			t.Fatal(err)
		}
		if len(ended) < 2 || ended[0] != runTimeout {
			t.Errorf("runs ended after %v, want the first at %s and others after it", ended, runTimeout)
		}
	})
}

func TestStopWaitsForSweepAndThenCancelsIt(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"in time": time.Minute, "not in time": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, logged := newClient()
				runs, finished := 0, false
				c.Every("slow", time.Second, func(ctx context.Context) error {
					runs++
					select {
					case <-time.After(10 * time.Second):
						finished = true
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				c.sweeps.start(t.Context())
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := c.sweeps.wait(ctx); err != nil {
					t.Fatal(err)
				}
				if in := name == "in time"; finished != in || runs != 1 {
					t.Errorf("the run has finished: %v, and there were %d", finished, runs)
				}
				if logged.Len() > 0 {
					t.Errorf("the stop logs %s", logged)
				}
			})
		})
	}
}

func TestEveryRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for what, declare := range map[string]func(c *Client){
		"an interval of zero":  func(c *Client) { c.Every("a", 0, nil) },
		"two of the same name": func(c *Client) { c.Every("a", 1, nil); c.Every("a", 1, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is accepted", what)
				}
			}()
			c, _ := newClient()
			declare(c)
		}()
	}
}
