package edge

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// rest serves the public methods to those who speak plain HTTP and JSON, where the contract has a route for them.
//
// It makes a Connect request in JSON of a plain one, lets the door serve that, and makes a plain answer of what comes back. So what the
// door does for Connect it does for REST, wherever the module lives, and the JSON is the same.
type rest struct {
	routes []*restRoute
	roots  map[string]bool // The first words of the paths, and whether what is below them is bare. It is REST, whether there is a route or not.
}

// newRest returns REST for the public methods of the services.
func newRest(services []*rpc.Service) *rest {
	x := &rest{roots: map[string]bool{}}
	for _, service := range services {
		for _, method := range service.Methods {
			if !method.Public || method.Route == nil {
				continue
			}
			route := newRestRoute(method)
			x.routes = append(x.routes, route)
			x.roots[route.segments[0]] = method.Route.Bare
		}
	}
	for _, route := range x.routes {
		if route.creates() && !route.method.Route.Bare {
			route.location = slices.ContainsFunc(x.routes, route.isCollectionOf)
		}
	}
	return x
}

// restRoute is the way to one method.
type restRoute struct {
	method   *rpc.Method
	fields   protoreflect.FieldDescriptors // Of the request.
	segments []string                      // Of the path; a variable is {name}.
	action   string                        // What follows a colon at the end of the path.
	location bool                          // What it creates can be got at its path, followed by the id.
}

func newRestRoute(method *rpc.Method) *restRoute {
	path, action, _ := strings.Cut(method.Route.Path, ":")
	return &restRoute{
		method: method, fields: method.NewRequest().ProtoReflect().Descriptor().Fields(), segments: strings.Split(path[1:], "/"), action: action,
	}
}

// creates reports whether the method makes something new: by convention what is posted to a path without an action.
func (r *restRoute) creates() bool { return r.method.Route.Verb == http.MethodPost && r.action == "" }

// isCollectionOf reports whether the other route gets one of those that this one creates.
func (r *restRoute) isCollectionOf(other *restRoute) bool {
	n := len(r.segments)
	return other.method.Route.Verb == http.MethodGet && other.action == "" && len(other.segments) == n+1 &&
		slices.Equal(other.segments[:n], r.segments) && variable(other.segments[n]) != ""
}

// variable returns the name of the variable that a segment is, or "".
func variable(segment string) string {
	if name, ok := strings.CutPrefix(segment, "{"); ok {
		return strings.TrimSuffix(name, "}")
	}
	return ""
}

// match reports whether the route has the path, which is still escaped, and returns the values of its variables by the names of the
// fields. One without an action leaves colons to the last variable.
func (r *restRoute) match(path string) (values map[string]string, ok bool) {
	if r.action != "" {
		if path, ok = strings.CutSuffix(path, ":"+r.action); !ok {
			return nil, false
		}
	}
	given := strings.Split(path, "/")[1:]
	if len(given) != len(r.segments) {
		return nil, false
	}
	values = map[string]string{}
	for i, segment := range r.segments {
		name := variable(segment)
		if name == "" {
			if given[i] != segment {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(given[i])
		if err != nil || value == "" {
			return nil, false
		}
		values[name] = value
	}
	return values, true
}

// find returns the route of a request and the values of its variables. Without one it returns the verbs that the path has.
func (x *rest) find(r *http.Request) (found *restRoute, values map[string]string, verbs []string) {
	verb, path := r.Method, r.URL.EscapedPath()
	if verb == http.MethodHead {
		verb = http.MethodGet
	}
	for _, action := range []bool{true, false} { // A path with an action has no other meaning.
		for _, route := range x.routes {
			if (route.action != "") != action {
				continue
			}
			given, ok := route.match(path)
			if !ok {
				continue
			}
			if route.method.Route.Verb == verb {
				return route, given, nil
			}
			verbs = append(verbs, route.method.Route.Verb)
		}
		if len(verbs) > 0 {
			break
		}
	}
	slices.Sort(verbs)
	return nil, nil, verbs
}

// below reports whether a request is one of REST, and whether it is bare.
func (x *rest) below(r *http.Request) (bare, below bool) {
	root, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	root, _, _ = strings.Cut(root, ":")
	bare, below = x.roots[root]
	return bare, below && r.Method != http.MethodOptions // Of preflights only the door knows.
}

// serve serves a request of REST through the door.
func (x *rest) serve(w http.ResponseWriter, r *http.Request, bare bool, door http.HandlerFunc) {
	answer := &restAnswer{ResponseWriter: w, request: r, bare: bare}
	inner, wrong := x.translate(r, answer)
	if wrong != nil {
		// To be refused, it goes as it is to the door, which knows no such method: who may not come in at all is told that.
		answer.refused, inner = wrong, r
	}
	door(answer, inner)
	answer.finish()
}

// translate returns the Connect request that a plain one means, or what is wrong with it.
func (x *rest) translate(r *http.Request, answer *restAnswer) (*http.Request, *problem) {
	route, values, verbs := x.find(r)
	switch {
	case route != nil:
		answer.route = route
		return route.translate(r, values, answer)
	case len(verbs) > 0:
		answer.Header().Set("Allow", strings.Join(verbs, ", "))
		return nil, methodNotAllowed(verbs)
	default:
		return nil, noSuchRoute
	}
}
