import TCPEngine
public import TCPWire

/// Where packets for a prefix leave. The prefixes of a stack's own addresses have routes of their own, without a gateway.
public struct Route: Sendable, Hashable {
    /// The addresses it is for; host bits do not count.
    public var destination: AddressPrefix
    /// The router that takes them; `nil` where they are neighbors.
    public var gateway: IPAddress?
    /// The link they leave by.
    public var interface: InterfaceID

    /// Describes a route.
    public init(_ destination: AddressPrefix, via gateway: IPAddress? = nil, on interface: InterfaceID = .first) {
        self.destination = destination
        self.gateway = gateway
        self.interface = interface
    }

    /// Routes of a stack that were added by hand or by a router's word: more are refused.
    public static let limit = 256
}

/// Which way a packet goes.
struct Hop {
    var interface: InterfaceID
    /// Whom the link is to give it to.
    var address: IPAddress
}

extension Stack {
    /// Adds a route; one for the same prefix, gateway and interface is there once. Among several for a destination the
    /// longest prefix decides, then what was added first (RFC 1122 §3.3.1, RFC 4861 §5.2).
    ///
    /// - Returns: whether it was taken: not if the gateway is of another family or no unicast address, the interface is not
    ///   there, or there are `Route.limit` already.
    @discardableResult
    public mutating func addRoute(_ route: Route) -> Bool {
        guard Int(route.interface.index) < interfaceCount else { return false }
        if let gateway = route.gateway {
            guard gateway.isIPv4 == route.destination.address.isIPv4, gateway.isValidSource else { return false }
        }
        guard !routes.contains(where: { $0.isSame(as: route) }) else { return true }
        guard routes.count < Route.limit, context.budget.reserve(MemoryLayout<Route>.stride) else { return false }
        routes.append(route)
        return true
    }

    /// Takes a route away.
    public mutating func removeRoute(_ route: Route) {
        guard let index = routes.firstIndex(where: { $0.isSame(as: route) }) else { return }
        routes.remove(at: index)
        context.budget.release(MemoryLayout<Route>.stride)
    }

    /// The routes that were added, in their order.
    public var addedRoutes: [Route] { routes }

    /// Whom a packet for `destination` is given to on that link: a gateway, or the destination itself; `nil` where no route
    /// names that link. Its cost grows with the number of routes and of own addresses.
    public func nextHop(to destination: IPAddress, on interface: InterfaceID = .first) -> IPAddress? {
        hop(to: destination, on: interface)?.address
    }

    /// The way to `destination`, by any link or by that one.
    func hop(to destination: IPAddress, on interface: InterfaceID? = nil) -> Hop? {
        var best: Hop?
        var length = -1
        for local in addresses where local.isActive && local.prefix.length > length {
            guard interface == nil || local.interface == interface, local.prefix.contains(destination) else { continue }
            length = local.prefix.length
            best = Hop(interface: local.interface, address: destination)
        }
        for route in routes where route.destination.length > length {
            guard interface == nil || route.interface == interface, route.destination.contains(destination) else {
                continue
            }
            length = route.destination.length
            best = Hop(interface: route.interface, address: route.gateway ?? destination)
        }
        return best ?? tunnel(to: destination, on: interface)
    }

    /// What no route is for goes into a link that takes everything.
    private func tunnel(to destination: IPAddress, on interface: InterfaceID?) -> Hop? {
        for index in 0..<interfaceCount where interfaces[index].link.takesEverything {
            let id = InterfaceID(index: UInt8(index))
            if interface == nil || interface == id { return Hop(interface: id, address: destination) }
        }
        return nil
    }
}

extension Route {
    fileprivate func isSame(as other: Route) -> Bool {
        interface == other.interface && gateway == other.gateway && destination.length == other.destination.length
            && destination.contains(other.destination.address)
    }
}
