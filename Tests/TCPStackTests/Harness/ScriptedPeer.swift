import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The other end of one connection, played by hand: a test says each segment it sends and each it expects.
///
/// Numbers are relative, as packetdrill counts: the peer's SYN is `seq` 0, its first octet of data 1; the stack's SYN is
/// acknowledged by `ack` 1. What is not said is taken from where the conversation stands.
final class ScriptedPeer {
    let host: VirtualHost
    let family: Family
    let endpoint: Endpoint
    /// The stack's end. Its port is known from the first SYN on an active open.
    var target: Endpoint
    /// The peer's initial sequence number.
    var isn: SequenceNumber
    /// The stack's, as soon as it has shown it.
    var stackISN: SequenceNumber?
    /// The next number the peer sends: SND.NXT.
    var next = 0
    /// The next number the peer expects: RCV.NXT.
    var received = 0
    /// What the peer advertises, as it stands on the wire.
    var window: UInt16 = 65535
    /// What the handshake of the peer offers.
    var offer = Offer.plain
    /// Whether timestamps go on every segment: set by the handshake when both ends offered them.
    var usesTimestamps = false
    /// The peer's timestamp clock, in milliseconds, without the time that has passed.
    var timestampBase: UInt32 = 700_000
    /// The last TSval of the stack.
    var lastTimestamp: UInt32 = 0
    /// The shifts in force, zero before they are agreed on.
    var stackShift = 0
    var peerShift = 0
    var connection: ConnectionID?
    var listener: ListenerID?
    /// Octets the application has written in all, and read in all.
    var written = 0
    var consumed = 0
    /// Segments from the stack that the test has not asked for yet.
    var pending: [Segment] = []
    /// Every segment from the stack.
    var history: [Segment] = []
    /// What the peer has offered: the highest number the stack may send.
    var offeredEdge = 0
    /// The highest number that the stack has let the peer send up to.
    var grantedEdge: Int?
    /// Whether each segment of the stack is held against the rules that always hold.
    var checksLedger = true

    /// What the peer's SYN or SYN-ACK carries.
    struct Offer: Sendable {
        var mss: UInt16? = 1460
        var windowScale: UInt8?
        var sack = false
        var timestamps = false

        static let none = Offer(mss: nil)
        static let plain = Offer()
        static let sack = Offer(sack: true)
        static let scaled = Offer(windowScale: 7)
        static let timestamps = Offer(timestamps: true)
        static let full = Offer(windowScale: 7, sack: true, timestamps: true)
    }

    init(
        _ family: Family = .ipv4, _ configuration: Configuration = Configuration(), host: VirtualHost? = nil,
        number: Int = 2, port: UInt16 = 4000, stackPort: UInt16 = 80, isn: UInt32 = 0x2000_0000, offer: Offer = .plain,
        control: CongestionControl = .newReno, paced: Bool = false, fitted: Bool = false
    ) {
        // What a rule allows is seen at once, and by the plainest numbers, unless a test is about these.
        var configuration = configuration
        configuration.congestionControl = control
        configuration.pacing = paced
        if !fitted { configuration.fixBuffers() }
        self.family = family
        self.host = host ?? VirtualHost(configuration, families: [family])
        endpoint = Endpoint(family.address(number), port)
        target = Endpoint(family.stackAddress, stackPort)
        self.isn = SequenceNumber(isn)
        self.offer = offer
        self.host.attach(self)
    }

    /// TSval of the moment.
    var timestamp: UInt32 { timestampBase &+ UInt32(truncatingIfNeeded: host.now.nanoseconds / 1_000_000) }

    /// The payload of the stack's full segments without SACK blocks: Eff.snd.MSS of RFC 9293 §3.7.1.
    var mss: Int {
        let link = host.configuration.mtu - family.fixedHeaders
        return min(offer.mss.map(Int.init) ?? family.defaultMSS, link) - (usesTimestamps ? 12 : 0)
    }

    // MARK: To the stack

    /// Sends one segment. Without `seq` it is the next in order, and the peer's numbers move on; with it they stay.
    func send(
        _ flags: TCPFlags = .ack, seq: Int? = nil, ack: Int? = nil, length: Int = 0, data: [UInt8]? = nil,
        window: UInt16? = nil, urgent: UInt16 = 0, options: [WireOption]? = nil,
        tweak: ((inout Injection) -> Void)? = nil
    ) {
        let sequence = seq ?? next
        let payload = data ?? (0..<length).map { octet(sequence + (flags.contains(.syn) ? 1 : 0) + $0) }
        let acknowledged = ack ?? received
        var injection = Injection(source: endpoint, destination: target, sequence: isn + sequence, flags: flags)
        if flags.contains(.ack) {
            injection.acknowledgment = (stackISN ?? SequenceNumber(0)) + acknowledged
        }
        injection.window = window ?? self.window
        injection.urgentPointer = urgent
        injection.payload = payload
        let chosen = options ?? standardOptions(flags)
        injection.options = chosen.flatMap { $0.encoded(base: stackISN ?? SequenceNumber(0)) }
        tweak?(&injection)
        if seq == nil {
            next += payload.count + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
        }
        if flags.contains(.ack) {
            let shift = flags.contains(.syn) ? 0 : peerShift
            offeredEdge = max(offeredEdge, acknowledged + Int(injection.window) << shift)
        } else if flags.contains(.syn) {
            // What answers by Fast Open before the third segment keeps to the SYN's window.
            offeredEdge = max(offeredEdge, 1 + Int(injection.window))
        }
        logInjection(injection)
        host.inject(injection.packet())
    }

    private func logInjection(_ injection: Injection) {
        var tcp = TCPHeader(
            sourcePort: injection.source.port, destinationPort: injection.destination.port,
            sequence: injection.sequence,
            acknowledgment: injection.acknowledgment, flags: injection.flags, window: injection.window,
            urgentPointer: injection.urgentPointer)
        tcp.options = (try? TCPOptions(parsing: injection.options.span.bytes)) ?? TCPOptions()
        host.log(
            "< "
                + describe(tcp, payload: injection.payload.count, sequenceBase: isn, acknowledgmentBase: stackISN))
    }

    /// The options a segment carries if the test names none.
    func standardOptions(_ flags: TCPFlags) -> [WireOption] {
        if flags.contains(.syn) { return synOptions(echo: flags.contains(.ack) ? lastTimestamp : 0) }
        return usesTimestamps ? [.nop, .nop, .timestamps(timestamp, echo: lastTimestamp)] : []
    }

    func synOptions(echo: UInt32 = 0) -> [WireOption] {
        var options: [WireOption] = []
        if let mss = offer.mss { options.append(.mss(mss)) }
        if offer.sack { options += [.nop, .nop, .sackPermitted] }
        if offer.timestamps { options += [.nop, .nop, .timestamps(timestamp, echo: echo)] }
        if let shift = offer.windowScale { options += [.nop, .windowScale(shift)] }
        return options
    }

    /// An ACK with SACK blocks, and the timestamps if they are in use.
    func sendSACK(ack: Int, _ blocks: [Range<Int>], window: UInt16? = nil) {
        let stamps: [WireOption] = usesTimestamps ? [.nop, .nop, .timestamps(timestamp, echo: lastTimestamp)] : []
        send(.ack, ack: ack, window: window, options: stamps + [.nop, .nop, .sack(blocks)])
    }

    /// What the peer's stream holds at `sequence`: a pattern, so that what arrives can be checked without a copy.
    func octet(_ sequence: Int) -> UInt8 { UInt8(truncatingIfNeeded: sequence &* 7 &+ sequence >> 8 &+ 11) }

    /// What the application writes at `sequence`.
    func writtenOctet(_ sequence: Int) -> UInt8 { UInt8(truncatingIfNeeded: sequence &* 13 &+ sequence >> 7 &+ 5) }

    // MARK: From the stack

    func relative(_ segment: Segment) -> Int {
        stackISN.map { segment.tcp.sequence.distance(from: $0) } ?? Int(segment.tcp.sequence.rawValue)
    }

    func relativeAcknowledgment(_ segment: Segment) -> Int { segment.tcp.acknowledgment.distance(from: isn) }

    func text(_ segment: Segment) -> String {
        describe(segment.tcp, payload: segment.length, sequenceBase: stackISN, acknowledgmentBase: isn)
    }

    /// Takes the next segment of the stack and holds it against what is said. Length zero is expected unless another is
    /// named; PSH counts only if it is named; numbers that are not named are the ledger's business.
    ///
    /// - Parameters:
    ///   - after: how much time passes first: nothing may come before, and it must come within 2 ms then.
    ///   - within: how much time may pass first.
    @discardableResult
    func expect(
        _ flags: TCPFlags, seq: Int? = nil, ack: Int? = nil, length: Int? = 0, window: Int? = nil,
        after: Duration? = nil, within: Duration? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) -> Segment? {
        var wanted = letters(flags)
        if let seq { wanted += " seq \(seq)" }
        if let ack { wanted += " ack \(ack)" }
        if let length { wanted += " len \(length)" }
        if let window { wanted += " win \(window)" }
        if let after {
            wanted += " after \(after)"
            expectNothing(for: after, slack: .nanoseconds(1), but: wanted, sourceLocation: sourceLocation)
        }
        if pending.isEmpty, let patience = after.map({ _ in Duration.milliseconds(2) }) ?? within {
            host.advance(to: host.now + patience) { !pending.isEmpty }
        }
        guard !pending.isEmpty else {
            fail("expected \(wanted)\n     got nothing", sourceLocation)
            return nil
        }
        let segment = pending.removeFirst()
        let ignored: TCPFlags = flags.contains(.psh) ? [] : .psh
        let isRight =
            segment.flags.subtracting(ignored) == flags
            && (seq == nil || relative(segment) == seq)
            && (ack == nil || relativeAcknowledgment(segment) == ack)
            && (length == nil || segment.length == length)
            && (window == nil || Int(segment.tcp.window) == window)
        if !isRight { fail("expected \(wanted)\n     got \(text(segment))", sourceLocation) }
        return segment
    }

    /// Expects silence: what is pending now, and for as long as `duration`.
    func expectNothing(
        for duration: Duration = .zero, slack: Duration = .zero, but wanted: String = "nothing",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        if pending.isEmpty, duration > .zero {
            host.advance(to: host.now + (duration - slack)) { !pending.isEmpty }
        }
        guard let segment = pending.first else { return }
        fail("expected \(wanted)\n     got \(text(segment)) too early or at all", sourceLocation)
        pending.removeAll()
    }

    /// Forgets what the stack has sent, and says how many segments that was.
    @discardableResult
    func discard() -> Int {
        let count = pending.count
        pending.removeAll()
        return count
    }

    func fail(_ text: String, _ location: SourceLocation) {
        Issue.record("\(text)\n\(host.recentTrace())", sourceLocation: location)
    }
}

extension Configuration {
    /// Buffers of one size, 1 MiB unless the test named another, from the beginning to the end.
    mutating func fixBuffers() {
        let standard = Configuration()
        if receiveBuffer == standard.receiveBuffer { receiveBuffer = 1 << 20 }
        if sendBuffer == standard.sendBuffer { sendBuffer = 1 << 20 }
        if initialReceiveBuffer == standard.initialReceiveBuffer { initialReceiveBuffer = receiveBuffer }
        if initialSendBuffer == standard.initialSendBuffer { initialSendBuffer = sendBuffer }
    }
}
