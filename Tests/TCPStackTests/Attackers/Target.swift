import Glibc
import TCPEngine
import TCPStack
import TCPWire
import Testing

/// How many packets an attack has: what is named in release, a part of it in debug builds, which run this code many
/// times slower.
func attacks(_ release: Int, debug: Int) -> Int {
    #if DEBUG
        debug
    #else
        release
    #endif
}

/// A stack under attack, in virtual time. Segments are written into one buffer and answers read out of it, so that a
/// hundred thousand cost little.
final class Target {
    /// What the stack said, as far as attackers and peers look at it.
    struct Answer {
        var tcp: TCPHeader
        var source: Endpoint
        var destination: Endpoint
        /// Octets of payload.
        var length: Int
    }

    static let port: UInt16 = 80

    var stack: Stack
    let family: Family
    let configuration: Configuration
    private(set) var now: Instant
    /// Packets the stack has sent, and octets of TCP payload in them.
    private(set) var sentPackets = 0
    private(set) var sentOctets = 0
    /// Packets that were no TCP.
    private(set) var others = 0
    private(set) var listener: ListenerID?
    private var buffer = [UInt8](repeating: 0, count: 65_600)

    init(
        _ family: Family, secret: StackSecret = StackSecret(0x0123_4567_89AB_CDEF, 42), backlog: Int? = 1024,
        _ change: (inout Configuration) -> Void = { _ in }
    ) {
        var configuration = Configuration()
        // What an acknowledgment lets go leaves at once, and is its own.
        configuration.pacing = false
        change(&configuration)
        configuration.fixBuffers()
        self.configuration = configuration
        self.family = family
        now = Instant(nanoseconds: 1_000_000_000)
        stack = Stack(configuration: configuration, secret: secret, at: now)
        stack.addAddress(AddressPrefix(family.stackAddress, length: family.prefixLength))
        guard let backlog else { return }
        do {
            listener = try stack.listen(on: Target.port, backlog: backlog, at: now)
        } catch {
            Issue.record("listen threw \(error)")
        }
    }

    var address: IPAddress { family.stackAddress }
    var endpoint: Endpoint { Endpoint(address, Target.port) }

    /// Delivers a segment with `payload` octets of zero.
    func deliver(_ segment: TCPHeader, from source: IPAddress, to destination: IPAddress? = nil, payload: Int = 0) {
        let destination = destination ?? address
        let ip = IPHeader(source: source, destination: destination, protocolNumber: IPProtocol.tcp)
        var room = buffer
        buffer = []
        let end: Int
        do {
            var octets = room.mutableSpan
            var span = octets.mutableBytes
            let offset = ip.write(to: &span, payloadLength: segment.headerLength + payload)
            let start = offset + segment.write(to: &span, at: offset)
            end = start + payload
            for index in start..<end { span.storeBytes(of: 0, toByteOffset: index, as: UInt8.self) }
            TCPHeader.writeChecksum(
                in: &span, range: offset..<end, source: source, destination: destination, partial: false)
        }
        stack.receive(room.span.bytes.extracting(0..<end), at: now)
        buffer = room
    }

    /// Delivers a packet as it is.
    func deliver(_ packet: [UInt8]) { stack.receive(packet.span.bytes, at: now) }

    /// Takes all the stack has to send, TCP or not.
    func drainPackets(_ body: (RawSpan) -> Void) {
        var room = buffer
        buffer = []
        while true {
            let sent: TransmittedPacket?
            do {
                var octets = room.mutableSpan
                var span = octets.mutableBytes
                sent = stack.transmit(into: &span, at: now)
            }
            guard let sent else { break }
            sentPackets += 1
            body(room.span.bytes.extracting(0..<sent.length))
        }
        buffer = room
    }

    /// Takes all the stack has to send.
    func drain(_ body: (Answer) -> Void = { _ in }) {
        drainPackets { packet in
            guard let answer = Target.parse(packet) else {
                others += 1
                return
            }
            sentOctets += answer.length
            body(answer)
        }
    }

    private static func parse(_ packet: RawSpan) -> Answer? {
        guard let ip = try? IPHeader(parsing: packet), ip.protocolNumber == IPProtocol.tcp else { return nil }
        let segment = packet.extracting(ip.headerLength..<ip.totalLength)
        guard let tcp = try? TCPHeader(parsing: segment) else { return nil }
        return Answer(
            tcp: tcp, source: Endpoint(ip.source, tcp.sourcePort),
            destination: Endpoint(ip.destination, tcp.destinationPort), length: segment.byteCount - tcp.headerLength)
    }

    /// Takes the events, and says what was reported of each connection.
    @discardableResult
    func events() -> [ConnectionID: Readiness] {
        var found: [ConnectionID: Readiness] = [:]
        while let event = stack.nextEvent() {
            if case .connection(let id, let readiness) = event { found[id, default: []].formUnion(readiness) }
        }
        return found
    }

    /// Lets time pass, timer by timer; what the stack sends meanwhile goes to `body`.
    func pass(_ duration: Duration, _ body: (Answer) -> Void = { _ in }) {
        let end = now + duration
        while let deadline = stack.nextDeadline, deadline <= end {
            now = max(now, deadline)
            stack.advance(to: now)
            drain(body)
        }
        now = end
        stack.advance(to: now)
        drain(body)
    }

    /// Moves the clock and serves no timer.
    func sleep(_ duration: Duration) { now = now + duration }

    /// Reads all there is of a connection, and says how many octets that was.
    func read(_ id: ConnectionID) -> Int {
        var room = buffer
        buffer = []
        defer { buffer = room }
        var total = 0
        while true {
            var octets = room.mutableSpan
            var span = octets.mutableBytes
            guard case .bytes(let count) = try? stack.read(id, into: &span, at: now) else { return total }
            total += count
        }
    }

    /// Writes up to `count` octets, and says how many were taken.
    @discardableResult
    func write(_ id: ConnectionID, _ count: Int) -> Int {
        let octets = [UInt8](repeating: 0, count: min(count, 1 << 20))
        return (try? stack.write(id, octets.span.bytes, at: now)) ?? 0
    }

    /// The first rule of the stack that is broken, as text.
    var fault: String? { stack.audit().map { "\($0)" } }
}

/// The other end of one connection of a `Target`: as honest as its test makes it.
final class Peer {
    let target: Target
    let endpoint: Endpoint
    /// SND.NXT and RCV.NXT.
    var next: SequenceNumber
    var received = SequenceNumber(0)
    /// The stack's ISS.
    private(set) var stackInitial = SequenceNumber(0)
    let initial: SequenceNumber
    var window: UInt16 = 65_535
    private(set) var id: ConnectionID?
    /// What goes on every segment after the SYN.
    var options = TCPOptions()
    /// Takes what the stack sends after each segment; without it that waits for `drain`.
    var onAnswer: ((Target.Answer) -> Void)?

    init(_ target: Target, number: Int = 2, port: UInt16 = 4000, initial: UInt32 = 0x2000_0000) {
        self.target = target
        endpoint = Endpoint(target.family.address(number), port)
        self.initial = SequenceNumber(initial)
        next = self.initial
    }

    /// Opens a connection to the stack's listener, which its program accepts.
    @discardableResult
    func open(mss: UInt16 = 1460, sack: Bool = false, scale: UInt8? = nil) -> Bool {
        var options = TCPOptions()
        options.maximumSegmentSize = mss
        options.sackPermitted = sack
        options.windowScale = scale
        send(.syn, options: options)
        next += 1
        target.drain { answer in
            guard answer.destination == endpoint, answer.tcp.flags == [.syn, .ack] else { return }
            stackInitial = answer.tcp.sequence
            received = answer.tcp.sequence + 1
        }
        target.sleep(.milliseconds(10))
        send(.ack)
        id = target.listener.flatMap { target.stack.accept($0) }
        target.events()
        return id != nil
    }

    /// Sends a segment; `sequence` and `acknowledgment` are where the conversation stands unless they are named.
    func send(
        _ flags: TCPFlags, sequence: SequenceNumber? = nil, acknowledgment: SequenceNumber? = nil, payload: Int = 0,
        window: UInt16? = nil, options: TCPOptions? = nil
    ) {
        target.deliver(
            segment(flags, sequence: sequence, acknowledgment: acknowledgment, window: window, options: options),
            from: endpoint.address, payload: payload)
        if let onAnswer { target.drain(onAnswer) }
    }

    func segment(
        _ flags: TCPFlags, sequence: SequenceNumber? = nil, acknowledgment: SequenceNumber? = nil,
        window: UInt16? = nil, options: TCPOptions? = nil
    ) -> TCPHeader {
        TCPHeader(
            sourcePort: endpoint.port, destinationPort: Target.port, sequence: sequence ?? next,
            acknowledgment: flags.contains(.ack) ? acknowledgment ?? received : SequenceNumber(0), flags: flags,
            window: window ?? self.window, options: options ?? self.options)
    }

    var status: ConnectionStatus? { id.flatMap { target.stack.status(of: $0) } }
    var state: State { status?.state ?? .closed }
}

/// Processor time of this thread: for ratios within one run only.
enum Work {
    static var nanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Runs `body` for 0..<`count` in blocks, and gives what a block took, in nanoseconds, one after the other.
    static func blocks(_ count: Int, of size: Int, _ body: (Int) -> Void) -> [Int64] {
        var result: [Int64] = []
        for start in stride(from: 0, to: count, by: size) {
            let before = nanoseconds
            for index in start..<min(count, start + size) { body(index) }
            result.append(nanoseconds - before)
        }
        return result
    }

    /// What the last packets cost beside the first thousand: the best of the last blocks over the median of the first,
    /// in hundredths. A block that was disturbed is not the best.
    static func growth(_ blocks: [Int64], first: Int) -> Int {
        let median = blocks.prefix(first).sorted()[first / 2]
        let last = blocks.suffix(max(first, blocks.count / 10)).min() ?? 0
        return Int(last * 100 / max(median, 1))
    }
}
