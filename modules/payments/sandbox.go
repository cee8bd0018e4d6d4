package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
)

// sandboxURL is the setting that says where the sandbox lives.
const sandboxURL = "CLEAVE_PAYMENTS_SANDBOX_URL"

const (
	// maxReply bounds what is read of a reply, in bytes. A page of the log is the largest.
	maxReply = 4 << 20
	// maxProviderConns bounds the connections to the sandbox. Calls beyond it wait, within their time.
	maxProviderConns = 64
)

// sandboxClient asks the sandbox provider, in this process or another, in the same way.
type sandboxClient struct {
	url  string
	http *http.Client
}

var _ provider = (*sandboxClient)(nil)

// newSandbox returns a client of the sandbox at a URL, or, where that is empty, of one in this process with its tables behind the pool.
func newSandbox(at string, pool *pgxpool.Pool) *sandboxClient {
	// Whoever redirects is not the provider.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if at == "" {
		return &sandboxClient{"http://sandbox", &http.Client{Transport: inMemory{sandbox.NewBeside(pool)}, CheckRedirect: stay}}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = maxProviderConns, maxProviderConns
	return &sandboxClient{at, &http.Client{Transport: transport, CheckRedirect: stay}}
}

func (c *sandboxClient) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	return c.move(ctx, key, "/v1/charges", sandbox.Authorization{
		Reference: a.reference, Amount: a.amount, Currency: a.currency, PaymentMethod: a.method,
	})
}

func (c *sandboxClient) capture(ctx context.Context, key, chargeID string) (answer, error) {
	return c.move(ctx, key, "/v1/charges/"+url.PathEscape(chargeID)+"/capture", struct{}{})
}

func (c *sandboxClient) void(ctx context.Context, key, chargeID string) (answer, error) {
	return c.move(ctx, key, "/v1/charges/"+url.PathEscape(chargeID)+"/void", struct{}{})
}

func (c *sandboxClient) refund(ctx context.Context, key, chargeID string, amount int64) (answer, error) {
	return c.move(ctx, key, "/v1/charges/"+url.PathEscape(chargeID)+"/refund", sandbox.Refund{Amount: amount})
}

func (c *sandboxClient) lookup(ctx context.Context, key string) (answer, bool, error) {
	var got sandbox.Answer
	err := c.do(ctx, http.MethodGet, "/v1/operations/"+url.PathEscape(key), "", nil, &got)
	if mistake := (errMistake{}); errors.As(err, &mistake) && mistake.Code == sandbox.CodeNoSuchKey {
		return answer{}, false, nil
	}
	if err != nil {
		return answer{}, false, err
	}
	known, err := answerOf(got)
	return known, err == nil, err
}

func (c *sandboxClient) charges(ctx context.Context, after string, limit int) ([]*paymentsv1.ChargeFact, error) {
	var page sandbox.Page
	query := url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}
	if err := c.do(ctx, http.MethodGet, "/v1/charges?"+query.Encode(), "", nil, &page); err != nil {
		return nil, err
	}
	list := make([]*paymentsv1.ChargeFact, len(page.Charges))
	for i, charge := range page.Charges {
		list[i] = chargeFact(charge)
	}
	return list, nil
}

func chargeFact(c sandbox.Charge) *paymentsv1.ChargeFact {
	fact := &paymentsv1.ChargeFact{
		Id: c.ID, Reference: c.Reference, Voided: c.Voided,
		Authorized: money(c.Authorized, c.Currency), Captured: money(c.Captured, c.Currency), Refunded: money(c.Refunded, c.Currency),
	}
	for _, o := range c.Operations {
		fact.Operations = append(fact.Operations, &paymentsv1.ChargeOperation{
			Key: o.Key, Kind: o.Kind, Amount: money(o.Amount, c.Currency), Outcome: o.Outcome, Requests: o.Requests,
		})
	}
	return fact
}

// move makes a call that moves money.
func (c *sandboxClient) move(ctx context.Context, key, path string, request any) (answer, error) {
	var got sandbox.Answer
	if err := c.do(ctx, http.MethodPost, path, key, request, &got); err != nil {
		return answer{}, err
	}
	return answerOf(got)
}

// answerOf maps an answer. One without a charge is none.
func answerOf(got sandbox.Answer) (answer, error) {
	if got.ChargeID == "" {
		return answer{}, fmt.Errorf("%w: its reply names no charge", errUnknown)
	}
	return answer{chargeID: got.ChargeID, declineCode: got.DeclineCode}, nil
}

// errMistake is what the provider says of a request that it does not understand.
type errMistake struct{ sandbox.Failure }

func (e errMistake) Error() string { return fmt.Sprintf("the provider says %s: %s", e.Code, e.Message) }

// do makes one request. Whatever is not a readable reply of the provider to it leaves unknown what was done.
func (c *sandboxClient) do(ctx context.Context, method, path, key string, request, reply any) error {
	var body io.Reader = http.NoBody
	if request != nil {
		encoded, err := json.Marshal(request)
		if err != nil {
			return fmt.Errorf("encode the request to the provider: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return fmt.Errorf("make the request to the provider: %w", err)
	}
	if request != nil {
		// Without a way to read the body again the transport does not repeat a request behind our back, which it would because of the key:
		// whether and when the provider is asked again is for us to say.
		r.GetBody = nil
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(sandbox.KeyHeader, key)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return fmt.Errorf("%w: read its reply: %w", errUnknown, err)
	}
	if len(content) > maxReply {
		return fmt.Errorf("%w: its reply is larger than %d bytes", errUnknown, maxReply)
	}
	switch status := response.StatusCode; {
	case status == http.StatusOK:
		if err := json.Unmarshal(content, reply); err != nil {
			return fmt.Errorf("%w: its reply cannot be read: %w", errUnknown, err)
		}
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		// It says nothing of what was asked: later it may be understood.
	case status >= 400 && status < 500:
		var mistake errMistake
		if err := json.Unmarshal(content, &mistake.Failure); err == nil && mistake.Code != "" {
			return mistake
		}
	}
	return fmt.Errorf("%w: its status is %s", errUnknown, response.Status)
}

// inMemory carries requests to a handler in this process.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (response *http.Response, err error) {
	defer func() {
		switch broken := recover(); broken {
		case nil:
		case http.ErrAbortHandler:
			response, err = nil, errors.New("the connection broke")
		default:
			panic(broken)
		}
	}()
	w := &reply{header: http.Header{}, status: http.StatusOK}
	m.handler.ServeHTTP(w, r.WithContext(r.Context())) // A copy: a handler may change its request, a transport may not.
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r,
	}, nil
}

// reply is what a handler writes.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *reply) Header() http.Header               { return w.header }
func (w *reply) WriteHeader(status int)            { w.status = status }
func (w *reply) Write(content []byte) (int, error) { return w.body.Write(content) }
