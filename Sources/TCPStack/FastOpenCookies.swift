import TCPEngine
import TCPWire

/// What a client remembers of servers (RFC 7413 §4.1.3): cookie, MSS, and until when not to try. One server is one address
/// and port as seen from one address of ours. A table of sets of four places: which set is a keyed hash's choice, and in it
/// who was used longest ago gives way, so that asking costs the same however many servers there are.
struct FastOpenCookies {
    /// What is known of one server.
    struct Server {
        var key: FlowKey
        /// The request while there is no cookie.
        var cookie = FastOpenCookie.request
        var avoidedUntil = Instant.zero
        var usedAt: Instant
        var segmentSize: UInt16
        var isUsed = true
    }

    private var servers: [Server] = []
    private let capacity: Int

    init(limit: Int) {
        var capacity = 4
        while capacity &* 2 <= min(limit, 65_536) { capacity &*= 2 }
        self.capacity = limit > 0 ? capacity : 0
    }

    /// Bytes charged.
    var bytes: Int { FastOpenCookies.bytes(servers.count) }

    private static func bytes(_ places: Int) -> Int {
        places == 0 ? 0 : 32 &+ places &* MemoryLayout<Server>.stride
    }

    /// Servers that are known.
    var count: Int { servers.count(where: \.isUsed) }

    /// The key of a flow's server.
    private static func server(of key: FlowKey) -> FlowKey {
        var key = key
        key.localPort = 0
        return key
    }

    private func set(of server: FlowKey, _ secret: StackSecret) -> Range<Int> {
        let first = Int(server.hash(secret) &>> 2) &* 4 & (servers.count &- 1)
        return first..<first &+ 4
    }

    private func index(of server: FlowKey, _ secret: StackSecret) -> Int? {
        guard !servers.isEmpty else { return nil }
        return set(of: server, secret).first { servers[$0].isUsed && servers[$0].key == server }
    }

    /// What is known of the server of a flow, which is used now.
    mutating func use(_ key: FlowKey, _ secret: StackSecret, at now: Instant) -> Server? {
        guard let index = index(of: FastOpenCookies.server(of: key), secret) else { return nil }
        servers[index].usedAt = now
        return servers[index]
    }

    /// What is known of the server of a flow.
    func known(_ key: FlowKey, _ secret: StackSecret) -> Server? {
        index(of: FastOpenCookies.server(of: key), secret).map { servers[$0] }
    }

    /// Changes what is known of a server, which gets a place if it has none; not so without memory.
    mutating func update(
        _ key: FlowKey, _ secret: StackSecret, at now: Instant, _ budget: inout Budget, _ change: (inout Server) -> Void
    ) {
        let server = FastOpenCookies.server(of: key)
        if let index = index(of: server, secret) {
            change(&servers[index])
            return
        }
        if servers.isEmpty {
            let bytes = FastOpenCookies.bytes(capacity)
            guard capacity > 0, budget.reserve(bytes, keeping: budget.marks.keptBack) else { return }
            let vacant = Server(key: server, usedAt: .zero, segmentSize: 0, isUsed: false)
            servers = [Server](repeating: vacant, count: capacity)
        }
        let set = set(of: server, secret)
        var place = set.lowerBound
        for index in set {
            if !servers[index].isUsed {
                place = index
                break
            }
            if servers[index].usedAt < servers[place].usedAt { place = index }
        }
        servers[place] = Server(key: server, usedAt: now, segmentSize: 0)
        change(&servers[place])
    }
}
