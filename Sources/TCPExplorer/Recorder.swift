internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// Takes down what happens in a world, to be drawn or written as a script.
final class Recorder {
    var trace = Trace()
    /// Moves made.
    var moves: Int64 = 0
    /// How much later each of them is drawn than the one before, because most take no time.
    private let stepNanoseconds: Int64

    init(stepNanoseconds: Int64) { self.stepNanoseconds = stepNanoseconds }

    private func time(_ world: World) -> Instant { world.now.advanced(byNanoseconds: moves * stepNanoseconds) }

    private func append(_ packet: inout InFlight, _ origin: TracedSegment.Origin, _ world: World) {
        guard let header = packet.header else { return }
        packet.number = trace.segments.count
        let from = world.hosts[1 - packet.destination]
        trace.segments.append(
            TracedSegment(
                number: packet.number + 1, sent: time(world), arrival: nil, from: from.name,
                to: world.hosts[packet.destination].name, source: from.local, destination: from.remote, header: header,
                length: packet.bytes.count - InFlight.networkHeader - header.headerLength, fate: .lost, origin: origin))
        trace.events.append(.sent(packet.number))
    }

    func sent(_ packet: inout InFlight, _ host: Host, _ world: World) { append(&packet, .host, world) }

    func copied(_ packet: inout InFlight, _ world: World) { append(&packet, .copy, world) }

    func injected(_ packet: inout InFlight, _ world: World) { append(&packet, .injected, world) }

    func lost(_ packet: InFlight, _ world: World) { trace.segments[packet.number].fate = .lost }

    func arrived(_ packet: InFlight, _ world: World) {
        trace.segments[packet.number].arrival = time(world)
        trace.segments[packet.number].fate = .delivered
        trace.events.append(.arrived(packet.number))
    }

    func changed(_ change: StateChange, _ host: Host, _ world: World) {
        trace.events.append(
            .state(
                TracedStateChange(
                    time: time(world), end: host.name, local: change.local, remote: change.remote, from: change.from,
                    to: change.to)))
    }

    func acted(_ action: ApplicationAction, _ host: Host, _ world: World) {
        trace.events.append(
            .action(
                TracedAction(
                    time: time(world), end: host.name, local: host.local, remote: host.remote, action: action)))
    }
}
