import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Two stacks on one link with a delay, in virtual time. A test may take single packets off the link.
final class JoinedHosts {
    let family: Family
    let client: VirtualHost
    let server: VirtualHost
    let delay: Duration
    /// Says of the n-th packet of the link, counted from 0 over both directions, whether it is lost.
    var isLost: (Int, Segment) -> Bool = { _, _ in false }
    private(set) var now: Instant
    private(set) var carried = 0
    private var flights: [(arrival: Instant, order: Int, toServer: Bool, packet: [UInt8])] = []

    init(
        _ family: Family, _ configuration: Configuration = Configuration(), delay: Duration = .milliseconds(10)
    ) {
        self.family = family
        self.delay = delay
        client = VirtualHost(configuration, secret: StackSecret(1, 2), families: [family], number: 1)
        server = VirtualHost(configuration, secret: StackSecret(3, 4), families: [family], number: 2)
        client.outbox = []
        server.outbox = []
        now = client.now
    }

    var clientAddress: IPAddress { family.address(1) }
    var serverAddress: IPAddress { family.address(2) }

    /// Puts what both hosts have sent on the link.
    private func collect() {
        for (host, toServer) in [(client, true), (server, false)] {
            host.settle()
            for packet in host.outbox ?? [] {
                defer { carried += 1 }
                guard let segment = Segment(packet, at: now) else { continue }
                let isLost = isLost(carried, segment)
                host.log(isLost ? "  (lost)" : "  (carried)")
                if !isLost { flights.append((now + delay, carried, toServer, packet)) }
            }
            host.outbox = []
            host.strays = []
        }
    }

    /// Runs until nothing happens any more before `limit` has passed, or until `done` says so.
    func run(for limit: Duration, until done: () -> Bool = { false }) {
        let end = now + limit
        for _ in 0..<200_000 {
            collect()
            if done() { return }
            let arrival = flights.min { ($0.arrival, $0.order) < ($1.arrival, $1.order) }?.arrival
            let times = [arrival, client.stack.nextDeadline, server.stack.nextDeadline].compactMap { $0 }
            guard let next = times.min(), next <= end else { break }
            now = max(now, next)
            client.advance(to: now) { false }
            server.advance(to: now) { false }
            let due = flights.filter { $0.arrival <= now }.sorted { $0.order < $1.order }
            flights.removeAll { $0.arrival <= now }
            for flight in due { (flight.toServer ? server : client).inject(flight.packet) }
        }
        now = max(now, end)
        client.advance(to: now) { false }
        server.advance(to: now) { false }
        collect()
    }

    /// Both hosts' lines, for a failure's message.
    func trace() -> String { "client\n\(client.recentTrace())\nserver\n\(server.recentTrace())" }
}
