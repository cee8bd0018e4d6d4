package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// idempotencyHeader is the request id of those who do not put it into the body.
	idempotencyHeader = "Idempotency-Key"
	// requestID is the field that makes a request happen once.
	requestID protoreflect.Name = "request_id"

	contentType = "Content-Type"
	jsonType    = "application/json"
)

// translate returns the Connect request that a plain one means, or what is wrong with it.
func (t *restRoute) translate(r *http.Request, values map[string]string, answer *restAnswer) (*http.Request, *problem) {
	var path members
	for _, segment := range t.segments {
		if name := variable(segment); name != "" {
			path.add(t.fields.ByName(protoreflect.Name(name)), values[name])
		}
	}
	inner := r.Clone(r.Context())
	inner.Method = http.MethodPost
	inner.URL = &url.URL{Path: t.method.Procedure}
	inner.RequestURI = t.method.Procedure
	inner.Header.Del("Content-Length")
	inner.Header.Del("Content-Encoding")
	inner.Header.Set("Connect-Protocol-Version", "1")
	inner.Header.Set(contentType, jsonType)
	if answer.bare {
		inner.Header.Del("Accept-Encoding") // Its answers are read.
	}
	switch {
	case t.method.Route.Body:
		if wrong := wrongContent(r); wrong != nil {
			return nil, wrong
		}
		body := &restBody{ReadCloser: r.Body, route: t, path: path}
		if t.fields.ByName(requestID) != nil {
			body.key = r.Header.Get(idempotencyHeader)
		}
		inner.Body = body
		inner.Header.Del("Accept-Encoding") // What creates is read, and the others are small.
	case t.method.ServerStream:
		request, wrong := t.inQuery(r.URL.RawQuery, values, path)
		if wrong != nil {
			return nil, wrong
		}
		give(inner, envelope(0, request))
		inner.Header.Set(contentType, connectStream+"json")
		inner.Header.Del("Connect-Accept-Encoding")
		inner.Header.Del("Connect-Content-Encoding")
	default:
		request, wrong := t.inQuery(r.URL.RawQuery, values, path)
		if wrong != nil {
			return nil, wrong
		}
		give(inner, request)
	}
	return inner, nil
}

// inQuery returns the request that a path and a query make. Like fields in a body, parameters that the contract does not have are left
// out, and both ways to write a name are taken.
func (t *restRoute) inQuery(text string, values map[string]string, request members) ([]byte, *problem) {
	query, err := url.ParseQuery(text)
	if err != nil {
		return nil, invalid("", "the query cannot be read: %s", err)
	}
	for i := range t.fields.Len() {
		field := t.fields.Get(i)
		if _, bound := values[string(field.Name())]; bound {
			continue
		}
		given := query[field.JSONName()]
		if name := string(field.Name()); name != field.JSONName() {
			given = append(given, query[name]...)
		}
		switch {
		case len(given) == 0:
		case field.IsList():
			request.addList(field, given)
		case len(given) > 1:
			return nil, invalid(field.JSONName(), "is given more than once")
		default:
			request.add(field, given[0])
		}
	}
	return request.object(), nil
}

// members are the members of a JSON object, as text.
type members struct{ text []byte }

func (m *members) name(field protoreflect.FieldDescriptor) {
	if len(m.text) > 0 {
		m.text = append(m.text, ',')
	}
	m.text = append(m.text, quote(field.JSONName())...)
	m.text = append(m.text, ':')
}

func (m *members) add(field protoreflect.FieldDescriptor, value string) {
	m.name(field)
	m.text = append(m.text, literal(field, value)...)
}

func (m *members) addList(field protoreflect.FieldDescriptor, values []string) {
	m.name(field)
	for i, value := range values {
		m.text = append(m.text, "[,"[min(i, 1)])
		m.text = append(m.text, literal(field, value)...)
	}
	m.text = append(m.text, ']')
}

func (m *members) object() []byte { return append(append([]byte{'{'}, m.text...), '}') }

// literal writes a value of a path or a query as protojson reads it, which takes all but truth, and the numbers of enums, as strings.
func literal(field protoreflect.FieldDescriptor, value string) []byte {
	switch field.Kind() {
	case protoreflect.BoolKind:
		if value == "true" || value == "false" {
			return []byte(value)
		}
	case protoreflect.EnumKind:
		if _, err := strconv.ParseInt(value, 10, 32); err == nil {
			return []byte(value)
		}
	}
	return quote(value)
}

func quote(text string) []byte {
	quoted, _ := json.Marshal(text) // A string can be encoded.
	return quoted
}

// wrongContent says why a body is not one that is understood.
func wrongContent(r *http.Request) *problem {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return &problem{http.StatusUnsupportedMediaType, restError{Code: "invalid_argument", Reason: "CONTENT_ENCODING", Message: "the body is compressed: send it as it is"}}
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get(contentType))
	if charset := parameters["charset"]; err != nil || kind != jsonType || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return &problem{http.StatusUnsupportedMediaType, restError{Code: "invalid_argument", Reason: "CONTENT_TYPE", Message: "the body is not declared as JSON: send Content-Type: application/json"}}
	}
	return nil
}

// restBody is the body of a request that lacks what its path and headers say. The door reads it as it is, with all its limits, and
// completes it then.
type restBody struct {
	io.ReadCloser
	route *restRoute
	path  members
	key   string // The Idempotency-Key, where the request has room for one.
}

// complete returns the whole request, or why there is none.
func (b *restBody) complete(text []byte) ([]byte, error) {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		text = []byte("{}")
	}
	err := json.Unmarshal(text, &unread{})
	if err == nil && text[0] != '{' {
		err = errors.New("it begins with " + string(text[:1]))
	}
	if err != nil {
		return nil, &refusal{code: connect.CodeInvalidArgument, status: http.StatusBadRequest, why: fmt.Sprintf("the body is no JSON object: %v", err)}
	}
	more := b.path
	if b.key != "" {
		field := b.route.fields.ByName(requestID)
		start, end, found := find(text, field)
		switch {
		case !found:
			more.add(field, b.key)
		case string(text[start:end]) == "null", string(text[start:end]) == `""`: // It says nothing, so the header does.
			text = slices.Concat(text[:start], quote(b.key), text[end:])
		}
	}
	if len(more.text) == 0 {
		return text, nil
	}
	// A member that is there already is refused by whoever reads it: what the path says is not said twice.
	whole := append(make([]byte, 0, len(text)+len(more.text)+1), text[:len(text)-1]...)
	if len(bytes.TrimSpace(text[1:len(text)-1])) > 0 {
		whole = append(whole, ',')
	}
	return append(append(whole, more.text...), '}'), nil
}

// find returns where the value of a field is in a JSON object.
func find(object []byte, field protoreflect.FieldDescriptor) (start, end int, found bool) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, _ = decoder.Token() // The brace. It is known that nothing here fails.
	for decoder.More() {
		name, _ := decoder.Token()
		if name != field.JSONName() && name != string(field.Name()) {
			_ = decoder.Decode(&unread{})
			continue
		}
		var value json.RawMessage
		_ = decoder.Decode(&value)
		end = int(decoder.InputOffset())
		return end - len(value), end, true
	}
	return 0, 0, false
}

// unread is JSON of which nothing is kept: a million bytes of small values take many times as much when they are.
type unread struct{}

// UnmarshalJSON is called with what is valid.
func (*unread) UnmarshalJSON([]byte) error { return nil }
