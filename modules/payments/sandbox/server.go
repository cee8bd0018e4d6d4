package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// maxRequest bounds a request, in bytes.
const maxRequest = 64 << 10

// readyTimeout is how long the database may take to answer who asks whether the sandbox is ready.
const readyTimeout = 2 * time.Second

// Server is the provider. It is an [http.Handler].
type Server struct {
	http.Handler
	pool    *pgxpool.Pool
	commit  string // how a statement ends that is one transaction
	control atomic.Pointer[Control]
}

// New returns the provider over its tables. It does not close the pool.
func New(pool *pgxpool.Pool) *Server { return over(pool, waits) }

// NewBeside is New for tables that lie on the server where the caller keeps what it is told, before anybody else hears of it. What the
// caller commits then comes after what the provider has done in the log of that server, and cannot survive without it. So an answer need
// not wait for the disk: if the server crashes, both have forgotten it, and the same key does it once.
func NewBeside(pool *pgxpool.Pool) *Server { return over(pool, doesNotWait) }

func over(pool *pgxpool.Pool, commit string) *Server {
	s := &Server{pool: pool, commit: commit}
	s.control.Store(&Control{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", func(w http.ResponseWriter, r *http.Request) {
		c := call{kind: authorize}
		if read(w, r, &c.authorization) {
			s.move(w, r, c)
		}
	})
	mux.HandleFunc("POST /v1/charges/{id}/capture", func(w http.ResponseWriter, r *http.Request) {
		s.move(w, r, call{kind: capture, chargeID: r.PathValue("id")})
	})
	mux.HandleFunc("POST /v1/charges/{id}/void", func(w http.ResponseWriter, r *http.Request) {
		s.move(w, r, call{kind: void, chargeID: r.PathValue("id")})
	})
	mux.HandleFunc("POST /v1/charges/{id}/refund", func(w http.ResponseWriter, r *http.Request) {
		var refunded Refund
		if read(w, r, &refunded) {
			s.move(w, r, call{kind: refund, chargeID: r.PathValue("id"), amount: refunded.Amount})
		}
	})
	mux.HandleFunc("GET /v1/operations/{key}", func(w http.ResponseWriter, r *http.Request) {
		got, err := s.lookup(r.Context(), r.PathValue("key"))
		reply(w, got, err)
	})
	mux.HandleFunc("GET /v1/charges", func(w http.ResponseWriter, r *http.Request) {
		limit := MaxPage
		if text := r.FormValue("limit"); text != "" {
			var err error
			if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
				reply(w, nil, failure{http.StatusBadRequest, CodeBadRequest, "limit is no positive number"})
				return
			}
		}
		page, err := s.list(r.Context(), r.FormValue("after"), min(limit, MaxPage))
		reply(w, page, err)
	})
	outer := http.NewServeMux()
	outer.HandleFunc("POST /v1/control", func(w http.ResponseWriter, r *http.Request) {
		var c Control
		if read(w, r, &c) {
			s.control.Store(&c)
			reply(w, c, nil)
		}
	})
	outer.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { // Of the process, whatever it plays.
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := pool.Ping(ctx); err != nil {
			http.Error(w, "the database of the sandbox does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	outer.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c := s.control.Load()
		if c.Down || pause(r.Context(), time.Duration(c.LatencyMS)*time.Millisecond) != nil {
			hangUp()
		}
		mux.ServeHTTP(w, r)
	})
	s.Handler = outer
	return s
}

// move answers a call that moves money.
func (s *Server) move(w http.ResponseWriter, r *http.Request, c call) {
	c.key = r.Header.Get(KeyHeader)
	if c.key == "" || len(c.key) > 255 {
		reply(w, nil, failure{http.StatusBadRequest, CodeBadRequest, "the header " + KeyHeader + " must hold 1 to 255 characters"})
		return
	}
	if c.kind == authorize && c.authorization.Amount <= 0 || c.kind == refund && c.amount <= 0 {
		reply(w, nil, failure{http.StatusBadRequest, CodeBadRequest, "amount must be positive"})
		return
	}
	got, err := s.serve(r.Context(), c)
	if errors.Is(err, errSilence) || err == nil && rand.Float64() < s.control.Load().LoseReplies {
		hangUp()
	}
	reply(w, got, err)
}

// hangUp breaks the connection: the caller learns nothing.
func hangUp() { panic(http.ErrAbortHandler) }

// failure is an error that a caller is told.
type failure struct {
	status  int
	code    string
	message string
}

func (f failure) Error() string { return f.message }

// read decodes a request, or says what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(into); err != nil {
		reply(w, nil, failure{http.StatusBadRequest, CodeBadRequest, fmt.Sprintf("the request cannot be read: %v", err)})
		return false
	}
	return true
}

// reply writes an answer, or the failure that an error is.
func reply(w http.ResponseWriter, answer any, err error) {
	status := http.StatusOK
	if err != nil {
		told := failure{http.StatusServiceUnavailable, CodeFailed, err.Error()}
		errors.As(err, &told)
		status, answer = told.status, Failure{Code: told.code, Message: told.message}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // A caller that has gone does not need it.
}

// pause returns after a time, or with an error when ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
