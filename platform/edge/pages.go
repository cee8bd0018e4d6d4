package edge

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
	"github.com/cleave-go/cleave/platform/reference"
	"github.com/cleave-go/cleave/platform/rpc"
)

// maxForm bounds what is posted to a page, in bytes.
const maxForm = 64 << 10

// pages serve plain HTTP by the methods whose contract says so, by their paths: a whole request goes over the seam as a message, and a whole
// answer comes back. As with REST the door does for them what it does for all, and they may live anywhere.
type pages map[string]page

type page struct {
	rpc.Page
	method *rpc.Method
}

// newPages returns the pages of the services. It panics where two have one path.
func newPages(services []*rpc.Service) pages {
	p := pages{}
	for _, service := range services {
		for _, method := range service.Methods {
			for _, served := range method.Pages {
				if other, taken := p[served.Path]; taken {
					panic(fmt.Sprintf("edge: %s has a page at %s, where %s has one", method.Procedure, served.Path, other.method.Procedure))
				}
				p[served.Path] = page{served, method}
			}
		}
	}
	return p
}

// alone panics where a page has the path of a method, or of what the port serves itself: it would hide that.
func (p pages) alone(x *rest) {
	for path, page := range p {
		taken := ""
		if path == "/" || path == openAPIPath || path == reference.Path || strings.HasPrefix(path, reference.Path+"/") {
			taken = "what describes the port"
		}
		for _, route := range x.routes {
			if _, match := route.match(path); match {
				taken = route.method.Procedure
			}
		}
		if taken != "" {
			panic(fmt.Sprintf("edge: %s has a page at %s, where %s is", page.method.Procedure, path, taken))
		}
	}
}

// find returns the page that a request is for.
func (p pages) find(r *http.Request) (page, bool) {
	found, known := p[r.URL.Path]
	return found, known && r.URL.RawPath == "" && r.Method != http.MethodOptions // Of preflights only the door knows.
}

// verbs returns the methods of HTTP that a page takes.
func (p page) verbs() []string {
	var verbs []string
	if p.Get {
		verbs = append(verbs, http.MethodGet)
	}
	if p.Post {
		verbs = append(verbs, http.MethodPost)
	}
	return verbs
}

// shown are the headers of a request that a page sees, but for its cookies.
var shown = []string{"Accept", "Accept-Language", "Authorization", "Content-Type", "Dnt", "Origin", "Sec-Fetch-Site", "User-Agent"}

// ours returns of a list of cookies those that pages have set. A shop's other programs may be at the same host.
func ours(cookies string) string {
	var kept []string
	for cookie := range strings.SplitSeq(cookies, ";") {
		cookie = strings.TrimSpace(cookie)
		if ourCookie(cookie) {
			kept = append(kept, cookie)
		}
	}
	return strings.Join(kept, "; ")
}

// ourCookie reports whether a cookie is one that a page may set: those of the shop's other programs at the same host are theirs.
func ourCookie(cookie string) bool {
	return strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(cookie), "__Host-"), "cleave_")
}

// told are the headers of an answer that are the page's. All others are the door's.
var told = map[string]bool{
	"Cache-Control": true, "Content-Language": true, "Content-Security-Policy": true, "Content-Type": true, "Location": true,
	"Referrer-Policy": true, "Retry-After": true, "Set-Cookie": true, "Www-Authenticate": true,
}

// serve serves a request for the page through the door. HEAD is none: what getting a page brings about is the module's to know. Of what
// comes bare the page sees no cookie, and it sets none: those of who is at the browser stay as they are.
func (p page) serve(w http.ResponseWriter, r *http.Request, bare bool, door http.HandlerFunc) {
	inner := r.Clone(r.Context())
	inner.URL = &url.URL{Path: p.method.Procedure}
	inner.RequestURI = p.method.Procedure
	for _, name := range []string{"Accept-Encoding", "Authorization", "Content-Length", "Content-Encoding"} {
		inner.Header.Del(name)
	}
	answer := &pageAnswer{ResponseWriter: w, page: p, bare: bare}
	asked := &webv1.Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery}
	for _, name := range shown {
		for _, value := range r.Header.Values(name) {
			asked.Headers = append(asked.Headers, &webv1.Header{Name: name, Value: value})
		}
	}
	if cookies := ours(strings.Join(r.Header.Values("Cookie"), "; ")); cookies != "" && !bare {
		asked.Headers = append(asked.Headers, &webv1.Header{Name: "Cookie", Value: cookies})
	}
	inner.Method = http.MethodPost
	inner.Header.Set("Connect-Protocol-Version", "1")
	inner.Header.Set(contentType, "application/proto")
	body := &pageBody{ReadCloser: r.Body, method: p.method, request: asked}
	switch encoding := r.Header.Get("Content-Encoding"); {
	case r.Method == http.MethodGet && p.Get:
		body.ReadCloser = http.NoBody
		inner.ContentLength = 0
	case r.Method != http.MethodPost || !p.Post:
		w.Header().Set("Allow", strings.Join(p.verbs(), ", "))
		answer.refused = methodNotAllowed(p.verbs())
	case encoding != "" && encoding != "identity":
		answer.refused = &problem{http.StatusUnsupportedMediaType, restError{Message: "the body is compressed: send it as it is"}}
	}
	inner.Body = body
	if answer.refused != nil {
		// To be refused, it goes to the door as what it knows no method for: who may not come in at all is told that.
		inner.URL, inner.Body = r.URL, r.Body
	}
	door(answer, inner)
	answer.finish()
}

// pageBody is the body of a request for a page. The door reads it as it is, with all its limits, and completes it then.
type pageBody struct {
	io.ReadCloser
	method  *rpc.Method
	request *webv1.Request
}

// complete returns the message that the method takes.
func (b *pageBody) complete(body []byte, network netip.Prefix) ([]byte, error) {
	if len(body) > maxForm {
		return nil, &refusal{code: connect.CodeResourceExhausted, status: http.StatusRequestEntityTooLarge, why: fmt.Sprintf("what is posted is larger than %d bytes", maxForm)}
	}
	for _, text := range []*string{&b.request.Path, &b.request.Query} {
		*text = strings.ToValidUTF8(*text, "\uFFFD")
	}
	for _, header := range b.request.GetHeaders() {
		header.Value = strings.ToValidUTF8(header.GetValue(), "\uFFFD")
	}
	b.request.Body = body
	if network.IsValid() {
		b.request.Network = network.String()
	}
	message := b.method.NewRequest().ProtoReflect()
	message.Set(only(message), protoreflect.ValueOfMessage(b.request.ProtoReflect()))
	return proto.Marshal(message.Interface())
}

// only returns the one field of a message: the generator has seen to it.
func only(message protoreflect.Message) protoreflect.FieldDescriptor {
	return message.Descriptor().Fields().Get(0)
}

// pageAnswer makes a plain answer of the door's Connect one.
type pageAnswer struct {
	http.ResponseWriter
	page    page
	bare    bool     // It sets no cookies.
	refused *problem // Why the request goes no further than the door.

	status int
	held   bytes.Buffer
}

func (a *pageAnswer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

func (a *pageAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.held.Len()+len(p) > rpc.MaxMessageBytes {
		return 0, errTooLong
	}
	return a.held.Write(p)
}

// FlushError does nothing: the answer is handed over when it is whole. A proxy would begin it otherwise.
func (a *pageAnswer) FlushError() error { return nil }

// Unwrap lets [http.ResponseController] reach the connection.
func (a *pageAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// finish hands over the answer.
func (a *pageAnswer) finish() {
	header := a.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Accept-Encoding", "Connect-Accept-Encoding", "Connect-Content-Encoding"} {
		header.Del(name) // Those of the message.
	}
	switch {
	case a.refused != nil && (a.status == http.StatusNotFound || a.status < http.StatusBadRequest):
		a.fail(a.refused)
	case a.status != http.StatusOK && a.status != 0: // An empty message is not written. What is cut off does not come here.
		a.fail(problemOf(a.status, a.held.Bytes()))
	default:
		a.hand()
	}
}

// fail tells what is wrong, in a sentence: a person may read it.
func (a *pageAnswer) fail(p *problem) {
	a.Header().Set(contentType, "text/plain; charset=utf-8")
	a.ResponseWriter.WriteHeader(p.status)
	_, _ = io.WriteString(a.ResponseWriter, p.error.Message+"\n")
}

// hand hands over what the module has answered. Those of its headers that are the page's replace those of the door.
func (a *pageAnswer) hand() {
	message := a.page.method.NewResponse()
	if err := proto.Unmarshal(a.held.Bytes(), message); err != nil {
		a.fail(&problem{http.StatusBadGateway, restError{Message: "the answer cannot be read"}})
		return
	}
	reflected := message.ProtoReflect()
	response, _ := reflected.Get(only(reflected)).Message().Interface().(*webv1.Response)
	if response.GetStatus() < http.StatusOK || response.GetStatus() > 599 {
		a.fail(&problem{http.StatusBadGateway, restError{Message: "the answer has no status"}})
		return
	}
	header := a.Header()
	header.Del(contentType)
	seen := map[string]bool{}
	for _, h := range response.GetHeaders() {
		name := http.CanonicalHeaderKey(h.GetName())
		if !told[name] || name == "Set-Cookie" && (a.bare || !ourCookie(h.GetValue())) {
			continue
		}
		if !seen[name] {
			seen[name] = true
			header.Del(name)
		}
		header.Add(name, h.GetValue())
	}
	header.Set("Content-Length", strconv.Itoa(len(response.GetBody())))
	a.ResponseWriter.WriteHeader(int(response.GetStatus()))
	_, _ = a.ResponseWriter.Write(response.GetBody())
}
