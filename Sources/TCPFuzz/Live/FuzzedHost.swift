import TCPEngine
import TCPStack
import TCPWire

/// A packet a stack has sent, read back.
struct SentPacket {
    var bytes: [UInt8]
    var ip: IPHeader
    /// `nil` for a packet that is no TCP.
    var tcp: TCPHeader?
    /// Where the payload lies in `bytes`.
    var payload: Range<Int>
    var segmentSize: Int

    var sequenceLength: Int {
        guard let tcp else { return 0 }
        return payload.count + (tcp.flags.contains(.syn) ? 1 : 0) + (tcp.flags.contains(.fin) ? 1 : 0)
    }
}

/// A stack whose every packet and every state is held against what must always be.
final class FuzzedHost {
    var stack: Stack
    let configuration: Configuration
    let addresses: [IPAddress]
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var buffer: [UInt8]
    private var arrived: [UInt8] = []
    /// What the stack held before anything came.
    let empty: MemoryReport
    let emptyAccount: Int
    /// Whether the payloads it sends are the pattern.
    var checksPayload = true

    init(_ configuration: Configuration, secret: StackSecret, addresses: [AddressPrefix]) {
        self.configuration = configuration
        self.addresses = addresses.map(\.address)
        stack = Stack(configuration: configuration, secret: secret, at: now)
        for address in addresses { stack.addAddress(address) }
        buffer = [UInt8](repeating: 0, count: configuration.superSegments ? 65_600 : configuration.mtu)
        empty = stack.memory
        emptyAccount = stack.budgetUsed
    }

    func receive(_ packet: [UInt8], metadata: PacketMetadata = PacketMetadata()) {
        FuzzTrace.line("\(clock) \(name) < \(FuzzTrace.describe(packet))")
        stack.receive(packet.span.bytes, metadata: metadata, at: now)
    }

    /// The next packet, checked.
    func transmit() -> SentPacket? {
        guard let sent = write() else { return nil }
        let bytes = Array(buffer[..<sent.length])
        FuzzTrace.line("\(clock) \(name) > \(FuzzTrace.describe(bytes))")
        return check(sent, bytes)
    }

    /// Names this host in a trace.
    var name: String { addresses.first.map(\.description) ?? "host" }

    private var clock: String { "\(now.nanoseconds / 1_000_000) ms" }

    private func write() -> TransmittedPacket? {
        // Taken out, for the exclusive access to the stack.
        var room: [UInt8] = []
        swap(&room, &buffer)
        defer { swap(&room, &buffer) }
        var span = room.mutableSpan
        var raw = span.mutableBytes
        return stack.transmit(into: &raw, at: now)
    }

    private func check(_ sent: TransmittedPacket, _ bytes: [UInt8]) -> SentPacket {
        guard let ip = try? IPHeader(parsing: bytes.span.bytes) else { fatalError("a packet was sent that is no IP") }
        require(ip.totalLength == sent.length, "a packet says another length than it has")
        require(addresses.contains(ip.source), "a packet was sent from a foreign address")
        require(ip.destination.isValidSource, "a packet was sent to no unicast address")
        require(ip.headerLength == sent.transportOffset, "the transport header is elsewhere")
        if sent.segmentSize == 0 {
            require(sent.length <= configuration.mtu, "a packet is larger than the MTU")
        } else {
            require(configuration.superSegments, "a super-segment was sent to a link that takes none")
            require(sent.headerLength + sent.segmentSize <= configuration.mtu, "a cut segment is larger than the MTU")
        }
        guard ip.protocolNumber == IPProtocol.tcp else {
            checkMessage(ip, bytes)
            return SentPacket(bytes: bytes, ip: ip, tcp: nil, payload: sent.length..<sent.length, segmentSize: 0)
        }
        let segment = Array(bytes[sent.transportOffset...])
        checkChecksum(sent, ip, segment)
        guard let tcp = try? TCPHeader(parsing: segment.span.bytes) else { fatalError("a segment cannot be read") }
        require(sent.transportOffset + tcp.headerLength == sent.headerLength, "the payload is elsewhere")
        checkFlags(tcp, payload: bytes.count - sent.headerLength)
        if checksPayload { checkPayload(tcp, bytes, from: sent.headerLength) }
        return SentPacket(
            bytes: finished(sent, ip, bytes), ip: ip, tcp: tcp, payload: sent.headerLength..<bytes.count,
            segmentSize: sent.segmentSize)
    }

    private func checkPayload(_ tcp: TCPHeader, _ bytes: [UInt8], from start: Int) {
        require(
            Pattern.matches(bytes, start..<bytes.count, at: tcp.sequence),
            "an octet was sent that the program did not write there")
    }

    private func checkFlags(_ tcp: TCPHeader, payload: Int) {
        require(tcp.sourcePort != 0 && tcp.destinationPort != 0, "a segment from or to port zero")
        let main = [TCPFlags.syn, .fin, .rst].filter { tcp.flags.contains($0) }
        require(main.count <= 1, "a segment is more than one of SYN, FIN and RST")
        require(
            tcp.flags.contains(.ack) || tcp.flags.contains(.syn) || tcp.flags.contains(.rst), "a segment without ACK")
        require(payload == 0 || main.isEmpty || tcp.flags.contains(.fin), "a SYN or a reset with octets")
        require(
            tcp.flags.contains(.syn) || tcp.options.maximumSegmentSize == nil && tcp.options.windowScale == nil,
            "an option of SYNs on another segment")
    }

    /// What is no TCP: an echo reply, or an error about a packet that came, as short as errors are to be.
    private func checkMessage(_ ip: IPHeader, _ bytes: [UInt8]) {
        let body = Array(bytes[ip.headerLength...])
        let isIPv4 = ip.source.isIPv4
        require(
            ip.protocolNumber == (isIPv4 ? IPProtocol.icmp : IPProtocol.icmpv6) && body.count >= 8,
            "a packet that is neither TCP nor ICMP")
        // Only the whole message has a type and a checksum.
        if ip.isFragment { return }
        let isReply = body[0] == (isIPv4 ? 0 : 129)
        let errors: [UInt8] = isIPv4 ? [3, 11, 12] : [1, 3, 4]
        require(isReply || errors.contains(body[0]), "an ICMP message that is neither an echo reply nor an error")
        // RFC 1812 §4.3.2.3, RFC 4443 §2.4 c.
        require(isReply || bytes.count <= (isIPv4 ? 576 : 1280), "an error is longer than the least MTU")
        let pseudo = naivePseudoHeader(
            ip.source, ip.destination, protocol: IPProtocol.icmpv6, length: body.count)
        let seed = isIPv4 ? 0 : naiveSum(pseudo)
        require(naiveSum(body, seed: seed) == 0xFFFF, "the checksum of an ICMP message is wrong")
    }

    private func checkChecksum(_ sent: TransmittedPacket, _ ip: IPHeader, _ segment: [UInt8]) {
        require(sent.isChecksumPartial == configuration.checksumOffload, "a checksum is left to a link that does none")
        if sent.isChecksumPartial {
            let pseudo = naiveSum(
                naivePseudoHeader(ip.source, ip.destination, protocol: IPProtocol.tcp, length: segment.count))
            let field = UInt16(segment[16]) << 8 | UInt16(segment[17])
            require(field % 0xFFFF == pseudo % 0xFFFF, "a partial checksum is not the pseudo-header's")
        } else {
            // The targets of the parsers hold this against the plain sum.
            require(
                TCPHeader.isChecksumValid(segment.span.bytes, source: ip.source, destination: ip.destination),
                "a checksum is wrong")
        }
    }

    /// What the link makes of a packet whose checksum it finishes.
    private func finished(_ sent: TransmittedPacket, _ ip: IPHeader, _ bytes: [UInt8]) -> [UInt8] {
        guard sent.isChecksumPartial else { return bytes }
        var bytes = bytes
        put16(~naiveSum(Array(bytes[sent.transportOffset...])), &bytes, at: sent.transportOffset + 16)
        return bytes
    }

    func audit() { require(stack.audit()) }

    /// Lets time pass, as a device does that serves every deadline, or one that comes late.
    func advance(to target: Instant, late: Bool, _ pump: () -> Void) {
        var rounds = 0
        while !late, let deadline = stack.nextDeadline, deadline <= target, rounds < 256 {
            step(to: deadline)
            pump()
            rounds += 1
        }
        now = max(now, target)
        FuzzTrace.line("\(clock) \(name) time passes")
        stack.advance(to: now)
        pump()
    }

    /// Serves one deadline, which must be another one afterwards.
    func step(to deadline: Instant) {
        now = max(now, deadline)
        stack.advance(to: now)
        if let next = stack.nextDeadline { require(next > now, "a deadline lies in the past after it was served") }
    }

    func skip(_ nanoseconds: Int64) { now = now.advanced(byNanoseconds: nanoseconds) }

    /// Reads up to `count` octets; what came stands at the front of `arrived`.
    func read(_ id: ConnectionID, _ count: Int) throws(ConnectionError) -> (ReadResult, Int) {
        let result = try readInto(id, count)
        FuzzTrace.line("\(clock) \(name) reads up to \(count): \(result)")
        guard case .bytes(let got) = result else { return (result, 0) }
        require(got >= 1 && got <= count, "a read moved more octets than there was room for")
        return (result, got)
    }

    private func readInto(_ id: ConnectionID, _ count: Int) throws(ConnectionError) -> ReadResult {
        var room: [UInt8] = []
        swap(&room, &arrived)
        defer { swap(&room, &arrived) }
        if room.count != count { room = [UInt8](repeating: 0, count: count) }
        var span = room.mutableSpan
        var raw = span.mutableBytes
        return try stack.read(id, into: &raw, at: now)
    }

    /// Whether the octets that came last are those of a stream at `position`.
    func arrivedMatches(_ position: SequenceNumber, count: Int) -> Bool {
        Pattern.matches(arrived, 0..<count, at: position)
    }

    func write(_ id: ConnectionID, _ bytes: [UInt8]) throws(ConnectionError) -> Int {
        let count = try stack.write(id, bytes.span.bytes, at: now)
        FuzzTrace.line("\(clock) \(name) writes \(count) of \(bytes.count)")
        require(count >= 0 && count <= bytes.count, "a write took more octets than it was given")
        return count
    }

    /// Ends everything, and holds what is left against a stack that has done nothing.
    func finish(_ connections: [ConnectionID], _ listeners: [ListenerID], _ drain: () -> Void) {
        FuzzTrace.line("\(clock) \(name) ends everything")
        for id in connections { stack.abort(id, at: now) }
        for id in listeners { stack.stopListening(id, at: now) }
        drain()
        audit()
        // What was released lives on until its timers end it, and fragments wait for others.
        var rounds = 0
        while stack.memory.connectionCount > 0 || stack.memory.timeWaitCount > 0 || stack.memory.fragments > 0,
            rounds < 64
        {
            advance(to: now + .seconds(400), late: rounds % 2 == 0, drain)
            rounds += 1
        }
        while stack.nextEvent() != nil {}
        for _ in 0..<3 { advance(to: now + .seconds(2), late: true, drain) }
        audit()
        require(stack.memory.connectionCount == 0, "a connection outlives its timers")
        require(
            stack.memory == empty && stack.budgetUsed == emptyAccount, "memory is held by nothing: \(stack.memory)"
        )
        require(!stack.wantsToTransmit && stack.nextDeadline == nil, "a stack without connections has something to do")
        require(stack.counters.impossibleStates == 0, "a move was made that RFC 9293's diagram does not have")
    }
}
