import TCPEngine
import TCPStack
import TCPWire

/// One stack. The head of the input chooses its configuration and brings some connections into states; the rest is a
/// programme of segments near the edges of what is valid, garbage, ICMP, time and calls. Every packet that leaves and the
/// whole state after every step are checked; at the end nothing may be left.
public func fuzzStack(_ input: RawSpan) {
    let session = StackSession(Octets(input))
    session.prologue()
    session.play()
    session.finish()
}

/// A handle a program holds.
struct FuzzedHandle {
    var id: ConnectionID
    /// ISS, which outlives the handle.
    var initial: SequenceNumber?
    var written = 0
    var read = 0
    /// Whether the end of the stream was read.
    var endOfStream = false
}

final class StackSession {
    var octets: Octets
    let host: FuzzedHost
    let isIPv6: Bool
    var peers: [FuzzedPeer] = []
    var handles: [FuzzedHandle] = []
    var listeners: [ListenerID] = []
    /// The last segment that was injected.
    var last: [UInt8] = []
    /// Something was injected whose octets are not the pattern: what is read proves nothing any more.
    var isForged = false
    /// The link takes packets only when it is told to.
    var isLinkLazy: Bool

    init(_ octets: Octets) {
        var octets = octets
        let choice = octets.next16()
        isIPv6 = choice & 1 != 0
        isLinkLazy = choice & 0x8000 != 0
        let configuration = StackSession.configuration(choice)
        var addresses = [AddressPrefix(StackSession.address(1, isIPv6: isIPv6), length: isIPv6 ? 64 : 8)]
        if choice & 2 != 0 { addresses.append(AddressPrefix(StackSession.address(77, isIPv6: !isIPv6), length: 24)) }
        host = FuzzedHost(
            configuration, secret: StackSecret(0x0123_4567_89AB_CDEF, UInt64(choice)), addresses: addresses)
        self.octets = octets
    }

    static func address(_ number: Int, isIPv6: Bool) -> IPAddress {
        isIPv6 ? IPAddress(high: 0xFD00 << 48, low: UInt64(number)) : IPAddress(10, 0, 0, UInt8(number))
    }

    private static func configuration(_ choice: UInt16) -> Configuration {
        var configuration = Configuration()
        configuration.timestamps = choice & 4 == 0
        configuration.selectiveAcknowledgment = choice & 8 == 0
        configuration.windowScaling = choice & 0x10 == 0
        if choice & 0x20 != 0 {
            configuration.receiveBuffer = 3000
            configuration.sendBuffer = 5000
        }
        // Room for a chunk of connections, one of entries, and a slab of blocks or none.
        configuration.memoryBudget = [64 << 20, 256 << 10, 112 << 10, 48 << 10][Int(choice >> 6 & 3)]
        configuration.superSegments = choice & 0x100 != 0
        configuration.checksumOffload = choice & 0x200 != 0
        configuration.mtu = choice & 0x400 == 0 ? 1500 : choice & 1 == 0 ? 296 : 1280
        if choice & 0x800 != 0 { configuration.fixedInitialSequence = SequenceNumber(0xFFFF_FFF0) }
        if choice & 0x1000 != 0 { configuration.unsentBuffer = 2000 }
        if choice & 0x2000 != 0 { configuration.initialRTO = .milliseconds(10) }
        configuration.recordsStateChanges = choice & 0x4000 != 0
        return configuration
    }

    // MARK: Packets

    func inject(_ packet: [UInt8], metadata: PacketMetadata = PacketMetadata()) {
        last = packet
        host.receive(packet, metadata: metadata)
        host.audit()
        if !isLinkLazy { pump() }
    }

    /// The link takes what there is.
    func pump() {
        var count = 0
        while let packet = host.transmit() {
            observe(packet)
            count += 1
            require(count < 20_000, "the stack sends without end")
        }
    }

    func take(_ count: Int) {
        for _ in 0..<count {
            guard let packet = host.transmit() else { return }
            observe(packet)
        }
    }

    private func observe(_ packet: SentPacket) {
        guard let tcp = packet.tcp else { return }
        let destination = Endpoint(packet.ip.destination, tcp.destinationPort)
        for index in peers.indices where peers[index].endpoint == destination { peers[index].observe(packet) }
    }

    func drain() {
        pump()
        while host.stack.nextEvent() != nil {}
        while host.stack.nextStateChange() != nil {}
    }

    // MARK: The programme

    func play() {
        while !octets.isEmpty {
            step(octets.next())
            host.audit()
        }
    }

    private func step(_ code: UInt8) {
        let variant = code >> 4
        FuzzTrace.line("step \(code & 15), variant \(variant)")
        switch code & 15 {
        case 0...5: segment(variant)
        case 6: garbage(variant)
        case 7: mutateLast()
        case 8: icmp(variant)
        case 9: time(variant)
        case 10: read(variant)
        case 11: write(variant)
        case 12: end(variant)
        case 13: take(Int(variant) + 1)
        case 14:
            if let deadline = host.stack.nextDeadline { host.step(to: deadline) }
            if variant & 1 == 0 { pump() }
        default: call(variant)
        }
    }

    private func time(_ variant: UInt8) {
        let amounts: [Int64] = [
            1, 1_000_000, 40_000_000, 200_000_000, 1_000_000_000, 3_000_000_000, 60_000_000_000, 3_600_000_000_000,
        ]
        var amount = amounts[Int(variant & 7)]
        // Long sleeps: past 24 days, past half the timestamps' circle.
        if variant == 15 { amount = Int64(octets.next()) * 86_400_000_000_000 }
        if isLinkLazy {
            host.advance(to: host.now.advanced(byNanoseconds: amount), late: variant & 8 != 0) {}
        } else {
            host.advance(to: host.now.advanced(byNanoseconds: amount), late: variant & 8 != 0, pump)
        }
    }

    // MARK: The end

    func finish() {
        pump()
        host.audit()
        for listener in listeners {
            while let id = host.stack.accept(listener) { handles.append(FuzzedHandle(id: id)) }
        }
        host.finish(handles.map(\.id), listeners, drain)
    }
}
