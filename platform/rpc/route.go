package rpc

// Route is where a public method is for callers who speak plain HTTP and JSON: what its google.api.http rule says.
type Route struct {
	// Verb is the method of HTTP, for instance "GET".
	Verb string
	// Path is a template, for instance /v1/carts/{cart_id}/items/{sku} or /v1/orders/{id}:cancel. Its variables are strings of the
	// request.
	Path string
	// Body says that the body holds the rest of the request; it is in the query otherwise.
	Body bool
	// Bare says that errors are {"error": "<message>"} and nothing else, as clients of an older contract expect.
	Bare bool
}

// Page is a path of the public port where a method serves plain HTTP: what its cleave.platform.v1.pages option says.
type Page struct {
	// Path has no variables, for instance "/oauth/token".
	Path string
	// Get and Post say with which methods of HTTP.
	Get, Post bool
	// FromAnywhere says that pages of other sites may post here, without cookies.
	FromAnywhere bool
}
