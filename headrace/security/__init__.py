"""Identity and permissions: who calls, by which proof, and what he may do. One place for all processes.

A call brings `credentials`; `access` makes an identity of them and asks the `policy`, which is made of
roles and of whom they are granted to. `methods` and `routes` say of every gRPC method and every HTTP route
what it takes to call it; what has no row there is refused.
"""
