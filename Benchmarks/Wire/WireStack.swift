import Glibc
import TCPEngine
import TCPSimulator
import TCPStack
import TCPWire

/// Our end of an exchange: a stack right at the wire, and its program.
final class WireStack {
    private(set) var outcome = WireOutcome()
    private var stack: Stack
    private let exchange: WireExchange
    private let isActive: Bool
    private let peer: Endpoint
    private var talks: [ConnectionID: Talk] = [:]
    private var ended = 0
    private let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_632, alignment: 64)
    private let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)

    /// How far one connection is.
    private struct Talk {
        var isOpen: Bool
        var written = 0
        var received = 0
        var hasClosed = false
        var hasReadEnd = false
    }

    /// A stack at `end` of the wire.
    ///
    /// - Parameter seed: of the stack's secrets: each run has its own, so that no port is one of the last run's.
    init(_ exchange: WireExchange, at end: Wire.End, seed: UInt64, _ now: Instant) throws {
        self.exchange = exchange
        isActive = exchange.active == end
        let addresses = [WirePlace.leftAddress, WirePlace.rightAddress].map { IPAddress($0)! }
        peer = Endpoint(addresses[end.opposite.rawValue], WireExchange.port)
        var random = SimulationRandom(seed: seed)
        stack = Stack(configuration: Configuration(), secret: StackSecret(random.next(), random.next()), at: now)
        stack.addAddress(AddressPrefix(addresses[end.rawValue], length: 24))
        if !isActive { _ = try stack.listen(on: WireExchange.port, options: options, at: now) }
    }

    deinit {
        packet.deallocate()
        octets.deallocate()
    }

    /// As the kernel's programs set it.
    private var options: ConnectionOptions {
        var options = ConnectionOptions()
        options.noDelay = true
        return options
    }

    private var toSend: (count: Int, pattern: PayloadPattern) {
        isActive ? (exchange.request, WireExchange.requestPattern) : (exchange.reply, WireExchange.replyPattern)
    }

    private var toReceive: (count: Int, pattern: PayloadPattern) {
        isActive ? (exchange.reply, WireExchange.replyPattern) : (exchange.request, WireExchange.requestPattern)
    }

    /// Whether every connection has come to its end.
    var isDone: Bool { ended == exchange.count }

    /// What the stack has counted.
    var counters: Counters { stack.counters }

    /// When `run` is wanted at the latest.
    var nextDeadline: Instant? { stack.nextDeadline }

    /// Begins to open, if this is the end that does.
    func start(at now: Instant) throws {
        guard isActive, outcome.started.count < exchange.count else { return }
        outcome.started.append(now)
        talks[try stack.connect(to: peer, options: options, at: now)] = Talk(isOpen: false)
    }

    /// Takes a packet.
    func receive(_ packet: RawSpan, at now: Instant) {
        stack.receive(packet, metadata: PacketMetadata(), at: now)
    }

    /// Does what is due, goes on with the program, and hands over what there is to send.
    func run(at now: Instant, send: (RawSpan) -> Void) throws {
        if let deadline = stack.nextDeadline, deadline <= now { stack.advance(to: now) }
        while let event = stack.nextEvent() {
            switch event {
            case .acceptable(let listener):
                while let id = stack.accept(listener) {
                    talks[id] = Talk(isOpen: true)
                    try proceed(id, at: now)
                }
            case .connection(let id, let readiness):
                if readiness.contains(.opened) { talks[id]?.isOpen = true }
                try proceed(id, at: now)
            default: break
            }
        }
        var span = MutableRawSpan(_unsafeBytes: packet)
        while let sent = stack.transmit(into: &span, at: now) { send(span.bytes.extracting(0..<sent.length)) }
    }

    private func proceed(_ id: ConnectionID, at now: Instant) throws {
        guard var talk = talks.removeValue(forKey: id) else { return }
        if let error = stack.status(of: id)?.error { throw failure(error, talk) }
        if talk.isOpen {
            do {
                try read(id, &talk, at: now)
                if isActive || talk.received == toReceive.count { try write(id, &talk, at: now) }
            } catch let error as ConnectionError { throw failure(error, talk) }
        }
        guard talk.hasClosed, talk.hasReadEnd else {
            talks[id] = talk
            return
        }
        stack.release(id, at: now)
        ended += 1
        try start(at: now)
    }

    private func failure(_ error: ConnectionError, _ talk: Talk) -> BenchmarkFailure {
        BenchmarkFailure(
            "our connection over the wire failed with \(talk.written) octets written and \(talk.received) read: "
                + "\(error)")
    }

    private func read(_ id: ConnectionID, _ talk: inout Talk, at now: Instant) throws {
        let (count, pattern) = toReceive
        while !talk.hasReadEnd {
            var span = MutableRawSpan(_unsafeBytes: octets)
            switch try stack.read(id, into: &span, at: now) {
            case .bytes(let part):
                guard talk.received + part <= count,
                    pattern.matches(span.bytes.extracting(0..<part), from: talk.received)
                else { throw BenchmarkFailure("wrong octets came to us after \(talk.received)") }
                talk.received += part
                if talk.received == count {
                    outcome.completed.append(now)
                    outcome.octets += count
                }
            case .wouldBlock: return
            case .endOfStream:
                guard talk.received == count else {
                    throw BenchmarkFailure("the end came to us after \(talk.received) of \(count) octets")
                }
                talk.hasReadEnd = true
            }
        }
    }

    private func write(_ id: ConnectionID, _ talk: inout Talk, at now: Instant) throws {
        let (count, pattern) = toSend
        while talk.written < count {
            let room = max(1, stack.status(of: id)?.room ?? 0)
            let size = min(octets.count, count - talk.written, room)
            var span = MutableRawSpan(_unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: octets[..<size]))
            pattern.fill(&span, from: talk.written)
            let taken = try stack.write(id, span.bytes, at: now)
            talk.written += taken
            if taken < size { return }
        }
        guard !talk.hasClosed else { return }
        talk.hasClosed = true
        try stack.close(id, at: now)
    }
}
