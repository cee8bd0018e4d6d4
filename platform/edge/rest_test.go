package edge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// plain runs a test of REST with the module in the edge's process and in another.
func plain(t *testing.T, test func(t *testing.T, d *door)) {
	t.Helper()
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newDoor(t, far))
		})
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a plain request. Headers are given as "Name: value"; a body is JSON unless one of them says otherwise.
func (d *door) ask(t *testing.T, verb, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(limited(t), verb, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

// failure reads the body of an error, and requires that it has nothing but what REST documents.
func (a answer) failure(t *testing.T) (told struct {
	Code, Message, Reason, CorrelationID string
	Fields                               []struct{ Field, Message string }
}) {
	t.Helper()
	var body map[string]map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || len(body) != 1 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %d, %s: %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	text, _ := json.Marshal(body["error"])
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&told); err != nil {
		t.Fatal(err)
	}
	if told.CorrelationID == "" || told.CorrelationID != a.header.Get(edge.CorrelationHeader) {
		t.Errorf("the error has the correlation id %q, the answer %q", told.CorrelationID, a.header.Get(edge.CorrelationHeader))
	}
	return told
}

// TestREST holds that a plain request meets the method, with what its path, its body and its headers say.
func TestREST(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		var seen *parityv1.CallRequest
		var metadata rpc.Metadata
		d.call = func(ctx context.Context, r *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			seen, metadata = r, rpc.MetadataOf(ctx)
			return &parityv1.CallResponse{Payload: r.GetPayload()}, nil
		}
		got := d.ask(t, "POST", "/v1/calls/a%2Fb:c", ` {"positive": 3, "payload": {"large": "9007199254740993", "kind": "KIND_ONE", "choice_text": "x"}, "unknown": 1} `,
			"X-Correlation-Id: support-4711", "Cleave-Principal: e30")
		if got.status != 201 || seen.GetCase() != "a/b:c" || seen.GetPositive() != 3 || seen.GetPayload().GetLarge() != 9007199254740993 {
			t.Errorf("got %d %s, the module saw %v", got.status, got.body, seen)
		}
		var body struct{ Payload map[string]any }
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || !reflect.DeepEqual(body.Payload, map[string]any{
			"large": "9007199254740993", "kind": "KIND_ONE", "choiceText": "x",
		}) {
			t.Errorf("got %s, %v", got.body, err)
		}
		if kind, id := got.header.Get("Content-Type"), got.header.Get("X-Correlation-Id"); kind != "application/json" || id != "support-4711" {
			t.Errorf("the answer is %s and has the correlation id %q", kind, id)
		}
		if !reflect.DeepEqual(metadata.Principal, user) || metadata.Caller != "edge" || metadata.CorrelationID != "support-4711" {
			t.Errorf("the module saw %+v", metadata)
		}

		// Without a body only the path speaks.
		if got := d.ask(t, "POST", "/v1/calls/x", ""); got.status != 201 || seen.GetCase() != "x" || seen.GetPayload() != nil {
			t.Errorf("got %d %s, the module saw %v", got.status, got.body, seen)
		}
		if got := d.ask(t, "POST", "/v1/calls/x", "{}", "Content-Type: application/json; charset=UTF-8"); got.status != 201 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// TestRESTPages holds what pages elsewhere may make a browser send: links may lead to what is read, and nothing else.
func TestRESTPages(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			return &parityv1.CallResponse{}, nil
		}
		d.watch = func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
			return nil
		}
		for _, c := range []struct {
			verb, path, mode string
			status           int
		}{
			{"GET", "/v1/calls/x:watch", "navigate", 200}, {"GET", "/v1/calls/x:watch", "no-cors", 403},
			{"POST", "/v1/calls/x", "navigate", 403}, {"POST", "/v1/calls/x", "cors", 403},
		} {
			if got := d.ask(t, c.verb, c.path, "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: "+c.mode); got.status != c.status {
				t.Errorf("%s %s, %s: got %d %s", c.verb, c.path, c.mode, got.status, got.body)
			}
		}
	})
}

// TestRESTHeaders holds that the headers of an answer come through, and that what is at fault before the module is told as all errors are.
func TestRESTHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		body, code string
	}{
		{200, `{"payload":{}}`, ""},
		{429, `{"code":"resource_exhausted","message":"slow down"}`, "resource_exhausted"},
		{502, "<html>nobody is there</html>", "unavailable"},
		{413, "", "resource_exhausted"},
	} {
		d := &door{url: serve(t, edge.New(edge.Config{
			Services: []*rpc.Service{parityv1cleave.ParityService},
			Route: func(string) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Etag", `"7"`)
					w.Header().Set("Retry-After", "3")
					w.WriteHeader(c.status)
					io.WriteString(w, c.body)
				})
			},
		})).URL}
		got := d.ask(t, "POST", "/v1/calls/x", "")
		if got.header.Get("Etag") != `"7"` || got.header.Get("Retry-After") != "3" {
			t.Errorf("a header is lost: %v", got.header)
		}
		if c.code == "" && (got.status != 201 || got.body != c.body) || c.code != "" && (got.status != c.status || got.failure(t).Code != c.code) {
			t.Errorf("%d %s became %d %s", c.status, c.body, got.status, got.body)
		}
	}
}

// TestRESTRefuses holds what a plain request is told that is wrong, and that it does not reach the method.
func TestRESTRefuses(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			t.Error("the method was reached")
			return &parityv1.CallResponse{}, nil
		}
		d.watch = func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
			t.Error("the method was reached")
			return nil
		}
		for name, c := range map[string]struct {
			verb, path, body, header string
			status                   int
			code, reason, message    string
			field, allow             string
		}{
			"no route":          {verb: "GET", path: "/v1/orders", status: 404, code: "not_found", reason: "NO_SUCH_ROUTE", message: "there is nothing at this path"},
			"no id":             {verb: "POST", path: "/v1/calls/", status: 404, code: "not_found", reason: "NO_SUCH_ROUTE"},
			"two slashes":       {verb: "POST", path: "/v1//calls/x", status: 404, code: "not_found", reason: "NO_SUCH_ROUTE"},
			"another verb":      {verb: "DELETE", path: "/v1/calls/x", status: 405, code: "unimplemented", reason: "METHOD_NOT_ALLOWED", message: "this path takes POST", allow: "POST"},
			"a verb for action": {verb: "POST", path: "/v1/calls/x:watch", status: 405, code: "unimplemented", reason: "METHOD_NOT_ALLOWED", allow: "GET"},
			"a form":            {verb: "POST", path: "/v1/calls/x", body: "a=b", header: "Content-Type: application/x-www-form-urlencoded", status: 415, code: "invalid_argument", reason: "CONTENT_TYPE"},
			"another charset":   {verb: "POST", path: "/v1/calls/x", body: "{}", header: "Content-Type: application/json; charset=latin1", status: 415, code: "invalid_argument", reason: "CONTENT_TYPE"},
			"compressed":        {verb: "POST", path: "/v1/calls/x", body: "{}", header: "Content-Encoding: gzip", status: 415, code: "invalid_argument", reason: "CONTENT_ENCODING"},
			"too large":         {verb: "POST", path: "/v1/calls/x", body: `{"payload":{"text":"` + strings.Repeat("x", 1<<20) + `"}}`, header: "Expect: 100-continue", status: 413, code: "resource_exhausted", reason: "BODY_TOO_LARGE"},
			"no JSON":           {verb: "POST", path: "/v1/calls/x", body: `{"positive":`, status: 400, code: "invalid_argument", message: "the body is no JSON object: unexpected end of JSON input"},
			"two objects":       {verb: "POST", path: "/v1/calls/x", body: `{}{}`, status: 400, code: "invalid_argument", message: "the body is no JSON object"},
			"null":              {verb: "POST", path: "/v1/calls/x", body: `null`, status: 400, code: "invalid_argument", message: "the body is no JSON object"},
			"a list":            {verb: "POST", path: "/v1/calls/x", body: `[]`, status: 400, code: "invalid_argument", message: "the body is no JSON object"},
			"too deep":          {verb: "POST", path: "/v1/calls/x", body: strings.Repeat(`{"payload":`, 50_000) + "1" + strings.Repeat("}", 50_000), status: 400, code: "invalid_argument"},
			"said twice":        {verb: "POST", path: "/v1/calls/x", body: `{"case":"y"}`, status: 400, code: "invalid_argument", message: `duplicate field "case"`},
			"another type":      {verb: "POST", path: "/v1/calls/x", body: `{"positive":"many"}`, status: 400, code: "invalid_argument", message: "the request cannot be read: "},
			"against a rule":    {verb: "POST", path: "/v1/calls/x", body: `{"positive":-1,"ruled":{"list":[{"name":"much too long"}]}}`, status: 400, code: "invalid_argument", field: "positive"},
			"a rule of a query": {verb: "GET", path: "/v1/calls/x:watch?count=-1", status: 400, code: "invalid_argument", field: "count"},
			"a bad query":       {verb: "GET", path: "/v1/calls/x:watch?count=%zz", status: 400, code: "invalid_argument", message: "the query cannot be read"},
			"a word as number":  {verb: "GET", path: "/v1/calls/x:watch?count=many", status: 400, code: "invalid_argument", message: "the request cannot be read: "},
			"two of one":        {verb: "GET", path: "/v1/calls/x:watch?count=1&count=2", status: 400, code: "invalid_argument", field: "count"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var headers []string
				if c.header != "" {
					headers = []string{c.header}
				}
				got := d.ask(t, c.verb, c.path, c.body, headers...)
				told := got.failure(t)
				if got.status != c.status || told.Code != c.code || told.Reason != c.reason || !strings.Contains(told.Message, c.message) {
					t.Errorf("got %d %s", got.status, got.body)
				}
				if c.field != "" && (len(told.Fields) == 0 || told.Fields[0].Field != c.field || told.Fields[0].Message == "") {
					t.Errorf("got %s, want the field %s", got.body, c.field)
				}
				if got.header.Get("Allow") != c.allow {
					t.Errorf("the path allows %q", got.header.Get("Allow"))
				}
				if strings.Contains(got.body, "parityv1") || strings.Contains(got.body, "line 1") {
					t.Errorf("the error tells of what the client has not written: %s", got.body)
				}
			})
		}
	})
}

// TestRESTErrors holds the status and the body of every error that a method can answer with.
func TestRESTErrors(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		var failure error
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) { return nil, failure }
		d.watch = func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
			return failure
		}
		statuses := map[connect.Code]int{
			connect.CodeCanceled: 499, connect.CodeUnknown: 500, connect.CodeInvalidArgument: 400, connect.CodeDeadlineExceeded: 504,
			connect.CodeNotFound: 404, connect.CodeAlreadyExists: 409, connect.CodePermissionDenied: 403, connect.CodeResourceExhausted: 429,
			connect.CodeFailedPrecondition: 400, connect.CodeAborted: 409, connect.CodeOutOfRange: 400, connect.CodeUnimplemented: 501,
			connect.CodeInternal: 500, connect.CodeUnavailable: 503, connect.CodeDataLoss: 500, connect.CodeUnauthenticated: 401,
		}
		for code, status := range statuses {
			failure = rpc.Errorf(code, "SOME_REASON", "it is <%s>", code)
			for _, got := range []answer{d.ask(t, "POST", "/v1/calls/x", ""), d.ask(t, "GET", "/v1/calls/x:watch", "")} {
				told := got.failure(t)
				if status == 401 && got.header.Get("Www-Authenticate") != "Bearer" {
					t.Errorf("the challenge is %q", got.header.Get("Www-Authenticate"))
				}
				if got.status != status || told.Code != code.String() || told.Reason != "SOME_REASON" || told.Message != "it is <"+code.String()+">" {
					t.Errorf("%v: got %d %s", code, got.status, got.body)
				}
			}
		}
		failure = errors.New("password 123 is wrong")
		if got := d.ask(t, "POST", "/v1/calls/x", ""); got.status != 500 || got.failure(t).Message != "internal error" || got.failure(t).Code != "internal" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// TestRESTStream holds that a stream is lines, each as soon as it is sent, or events for those who ask for events.
func TestRESTStream(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		more := make(chan struct{})
		d.watch = func(_ context.Context, r *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
			for i := range r.GetCount() {
				if err := stream.Send(&parityv1.WatchResponse{Index: i + 1, Text: r.GetCase()}); err != nil {
					return err
				}
				<-more
			}
			if r.GetCase() == "fails" {
				return rpc.Errorf(connect.CodeAborted, "LATE", "too late")
			}
			return nil
		}
		for _, c := range []struct{ path, accept, kind, item, after, end string }{
			{"/v1/calls/ends:watch?count=2", "", "application/x-ndjson", `{"index":%,"text":"ends"}`, "", ""},
			{"/v1/calls/fails:watch?count=2", "", "application/x-ndjson", `{"index":%,"text":"fails"}`, "", `{"error":{"code":"aborted","message":"too late","reason":"LATE","correlationId":"mine"}}`},
			{"/v1/calls/fails:watch?count=2", "text/event-stream", "text/event-stream", `data: {"index":%,"text":"fails"}`, "\n",
				"event: error\n" + `data: {"error":{"code":"aborted","message":"too late","reason":"LATE","correlationId":"mine"}}` + "\n"},
		} {
			r, err := http.NewRequestWithContext(limited(t), http.MethodGet, d.url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			r.Header.Set("Accept", c.accept)
			r.Header.Set(edge.CorrelationHeader, "mine")
			r.Header.Set("Connect-Content-Encoding", "br") // What is none of its business does nothing.
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || kind != c.kind {
				t.Errorf("%s: got %d, %s", c.path, response.StatusCode, kind)
			}
			for name := range response.Header {
				if strings.HasPrefix(name, "Connect-") {
					t.Errorf("%s: the answer has the header %s", c.path, name)
				}
			}
			lines := bufio.NewReader(response.Body)
			for _, index := range []string{"1", "2"} {
				want := strings.Replace(c.item, "%", index, 1) + "\n" + c.after
				got := ""
				for range strings.Count(want, "\n") {
					line, err := lines.ReadString('\n')
					if err != nil {
						t.Fatalf("%s: item %s did not come: %v", c.path, index, err)
					}
					got += line
				}
				// protojson puts spaces where it likes.
				if strings.ReplaceAll(got, ", ", ",") != want {
					t.Errorf("%s: got %q, want %q", c.path, got, want)
				}
				more <- struct{}{}
			}
			if end, err := io.ReadAll(lines); err != nil || strings.TrimSuffix(string(end), "\n") != c.end {
				t.Errorf("%s: the end is %q, %v", c.path, end, err)
			}
		}
		if got := d.ask(t, "GET", "/v1/calls/none:watch?count=0", ""); got.status != 200 || got.body != "" {
			t.Errorf("an empty stream is %d %q", got.status, got.body)
		}
	})
}

// TestRESTModuleGone holds what is told of a module that is not there, or no more.
func TestRESTModuleGone(t *testing.T) {
	t.Parallel()
	d := newDoor(t, true)
	d.watch = open
	r, err := http.NewRequestWithContext(limited(t), http.MethodGet, d.url+"/v1/calls/x:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for range 2 {
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	d.module.CloseClientConnections()
	if last, err := io.ReadAll(lines); err != nil || !strings.Contains(string(last), `{"error":{"code":"unavailable","message":"parity is unavailable"`) {
		t.Errorf("the last line is %q, %v", last, err)
	}
	d.module.Close()
	for _, verb := range []string{"POST /v1/calls/x", "GET /v1/calls/x:watch"} {
		verb, path, _ := strings.Cut(verb, " ")
		got := d.ask(t, verb, path, "")
		if told := got.failure(t); got.status != 503 || told.Code != "unavailable" || told.Message != "parity is unavailable" {
			t.Errorf("%s: got %d %s", verb, got.status, got.body)
		}
	}
}

// TestRESTLeaves holds that a method learns that its caller has left.
func TestRESTLeaves(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		begun, ended := make(chan struct{}), make(chan struct{})
		d.watch = func(ctx context.Context, r *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
			defer close(ended)
			close(begun)
			return open(ctx, r, stream)
		}
		ctx, cancel := context.WithCancel(limited(t))
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/v1/calls/x:watch", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		<-begun
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the method goes on")
		}
	})
}
