import TCPEngine
import TCPStack
import TCPWire

/// Two stacks joined by a wire. The head of the input chooses their configurations; the rest decides what becomes of each
/// packet, how time passes and what the programs do. As long as nothing was forged, octets read are always a prefix of
/// octets written, and from wherever the programme leaves them a fair wire brings both ends to a clean close.
public func fuzzWire(_ input: RawSpan) {
    let session = WireSession(Octets(input))
    session.open()
    session.play()
    session.beFair()
    session.finish()
}

/// A packet on its way.
struct Flight {
    var bytes: [UInt8]
    /// Which end it goes to: 0 or 1.
    var to: Int
    var segmentSize: Int
    /// A bit was flipped: two could cancel each other in the checksum.
    var isSpoilt = false
}

/// One program's view of its connections.
struct WireEnd {
    let host: FuzzedHost
    let address: IPAddress
    var handles: [FuzzedHandle] = []
    var listeners: [ListenerID] = []
    /// Octets that wait to be written, by handle: none waits; what a write refuses is dropped.
    var closed: Set<ConnectionID> = []
}

final class WireSession {
    var octets: Octets
    var ends: [WireEnd] = []
    var flights: [Flight] = []
    let isIPv6: Bool
    /// A packet was changed and its checksum made right: what is read proves nothing any more.
    var isForged = false
    /// Nanoseconds the programme has let pass.
    var elapsed: Int64 = 0
    /// A program aborted or let go: what was on its way is lost, and the other end sees a reset.
    var isAborted = false
    let isSimultaneous: Bool

    init(_ octets: Octets) {
        var octets = octets
        let choice = octets.next()
        isIPv6 = choice & 1 != 0
        isSimultaneous = choice & 2 != 0
        for number in 1...2 {
            let address = StackSession.address(number, isIPv6: isIPv6)
            let host = FuzzedHost(
                WireSession.configuration(octets.next16()), secret: StackSecret(UInt64(number), UInt64(choice)),
                addresses: [AddressPrefix(address, length: isIPv6 ? 64 : 8)])
            ends.append(WireEnd(host: host, address: address))
        }
        self.octets = octets
    }

    private static func configuration(_ choice: UInt16) -> Configuration {
        var configuration = Configuration()
        configuration.timestamps = choice & 1 == 0
        configuration.selectiveAcknowledgment = choice & 2 == 0
        configuration.windowScaling = choice & 4 == 0
        configuration.superSegments = choice & 8 != 0
        configuration.checksumOffload = choice & 16 != 0
        configuration.mtu = choice & 32 == 0 ? 1500 : 1280
        if choice & 64 != 0 { configuration.receiveBuffer = [100, 700, 3000, 100_000][Int(choice >> 8 & 3)] }
        if choice & 128 != 0 { configuration.sendBuffer = [1, 700, 3000, 100_000][Int(choice >> 10 & 3)] }
        if choice & 0x1000 != 0 { configuration.memoryBudget = 256 << 10 }
        if choice & 0x2000 != 0 { configuration.fixedInitialSequence = SequenceNumber(0xFFFF_FC00) }
        if choice & 0x4000 != 0 { configuration.unsentBuffer = 500 }
        return configuration
    }

    func open() {
        if isSimultaneous {
            connect(0, from: 5000, to: 6000)
            connect(1, from: 6000, to: 5000)
        } else {
            if let id = try? ends[1].host.stack.listen(on: 80, backlog: 4, at: ends[1].host.now) {
                ends[1].listeners.append(id)
            }
            connect(0, from: 5000, to: 80)
        }
    }

    private func connect(_ end: Int, from local: UInt16, to remote: UInt16) {
        let endpoint = Endpoint(ends[1 - end].address, remote)
        if let id = try? ends[end].host.stack.connect(to: endpoint, port: local, at: ends[end].host.now) {
            keep(id, end)
        }
    }

    private func keep(_ id: ConnectionID, _ end: Int) {
        ends[end].handles.append(
            FuzzedHandle(id: id, initial: ends[end].host.stack.initialSequences(of: id)?.send))
    }

    // MARK: The programme

    func play() {
        while !octets.isEmpty {
            step(octets.next())
            for end in ends { end.host.audit() }
        }
    }

    private func step(_ code: UInt8) {
        let variant = code >> 4
        let end = Int(variant & 1)
        FuzzTrace.line("step \(code & 15), variant \(variant), \(flights.count) packets on the way")
        switch code & 15 {
        case 0...2: send(end, 1 + Int(variant >> 1))
        case 3...4: deliver(Int(variant))
        case 5: deliver(0)
        case 6: if let index = pick(variant) { flights.remove(at: index) }
        case 7: if let index = pick(variant), flights.count < 64 { flights.append(flights[index]) }
        case 8: if let index = pick(variant) { flip(index) }
        case 9: if let index = pick(variant) { forge(index) }
        case 10: if let index = pick(variant) { resegment(index, joins: octets.bool()) }
        case 11: time(variant)
        case 12...13: write(end, variant >> 1)
        case 14: read(end, [1, 50, 1000, 20_000][Int(variant >> 1 & 3)])
        default: call(end, variant >> 1)
        }
    }

    private func pick(_ variant: UInt8) -> Int? { flights.isEmpty ? nil : Int(variant) % flights.count }

    func send(_ end: Int, _ count: Int) {
        for _ in 0..<count {
            guard let packet = ends[end].host.transmit() else { return }
            // A wire that is full loses what comes last.
            guard flights.count < 4096 else { continue }
            flights.append(Flight(bytes: packet.bytes, to: 1 - end, segmentSize: packet.segmentSize))
        }
    }

    func deliver(_ number: Int) {
        guard !flights.isEmpty else { return }
        let flight = flights.remove(at: number % flights.count)
        var metadata = PacketMetadata()
        metadata.segmentSize = flight.segmentSize
        ends[flight.to].host.receive(flight.bytes, metadata: metadata)
    }

    private func time(_ variant: UInt8) {
        let amounts: [Int64] = [1_000, 1_000_000, 40_000_000, 200_000_000, 1_000_000_000, 5_000_000_000, 0, 0]
        var amount = amounts[Int(variant & 7)]
        if variant & 7 >= 6 { amount = Int64(octets.next()) * 1_000_000_000 }
        pass(amount, late: variant & 8 != 0)
    }

    func pass(_ amount: Int64, late: Bool) {
        elapsed += amount
        for end in ends { end.host.advance(to: end.host.now.advanced(byNanoseconds: amount), late: late) {} }
    }

    func write(_ end: Int, _ variant: UInt8) {
        guard !ends[end].handles.isEmpty else { return }
        let index = ends[end].handles.count - 1
        let handle = ends[end].handles[index]
        guard let initial = ends[end].host.stack.initialSequences(of: handle.id)?.send else { return }
        // A small buffer takes many round trips for many octets.
        let room = min(20_000, 20 * ends[1 - end].host.configuration.receiveBuffer) - handle.written
        let count = min([1, 10, 536, 1460, 3000, 6000, 20, 100][Int(variant)], max(1, room))
        let bytes = Pattern.bytes(from: initial + 1 + handle.written, count: count)
        if let taken = try? ends[end].host.write(handle.id, bytes) { ends[end].handles[index].written += taken }
    }

    func read(_ end: Int, _ count: Int) {
        guard !ends[end].handles.isEmpty else { return }
        let index = ends[end].handles.count - 1
        let handle = ends[end].handles[index]
        guard let (result, got) = try? ends[end].host.read(handle.id, count) else { return }
        if !isForged { check(end, handle, result, got) }
        ends[end].handles[index].read += got
        if result == .endOfStream { ends[end].handles[index].endOfStream = true }
    }

    /// Octets read are a prefix of octets written, and the end of the stream comes after all of them.
    private func check(_ end: Int, _ handle: FuzzedHandle, _ result: ReadResult, _ got: Int) {
        guard let initial = ends[end].host.stack.initialSequences(of: handle.id)?.receive else { return }
        require(!handle.endOfStream || got == 0, "octets come after the end of the stream")
        require(
            ends[end].host.arrivedMatches(initial + 1 + handle.read, count: got),
            "an octet was read that the other end did not write there")
        guard let other = ends[1 - end].handles.last else { return }
        // At one instant, and with a fixed ISN, two incarnations have the same: which of them this stream is from nobody knows.
        guard ends[1 - end].handles.count(where: { $0.initial == initial }) == 1 else { return }
        // A handle that was let go of says nothing any more, and one of another incarnation nothing of this stream.
        guard ends[1 - end].host.stack.initialSequences(of: other.id)?.send == initial else { return }
        require(handle.read + got <= other.written, "more octets are read than were written")
        if result == .endOfStream {
            require(handle.read == other.written, "the end of the stream comes before its last octet")
        }
    }

    private func call(_ end: Int, _ variant: UInt8) {
        let host = ends[end].host
        FuzzTrace.line("\(host.name) call \(variant)")
        switch variant {
        case 0...2: accept(end)
        case 3:
            while host.stack.nextEvent() != nil {}
        case 4...5: close(end)
        case 6:
            guard let id = ends[end].handles.last?.id else { return }
            isAborted = true
            host.stack.release(id, at: host.now)
        default:
            guard let id = ends[end].handles.last?.id, octets.bool() else { return }
            isAborted = true
            host.stack.abort(id, at: host.now)
        }
    }

    func accept(_ end: Int) {
        for listener in ends[end].listeners {
            if let id = ends[end].host.stack.accept(listener) { keep(id, end) }
        }
    }

    func close(_ end: Int) {
        guard let id = ends[end].handles.last?.id, !ends[end].closed.contains(id) else { return }
        do throws(ConnectionError) {
            if ends[end].host.stack.status(of: id)?.state == .synSent { isAborted = true }
            FuzzTrace.line("\(ends[end].host.name) closes")
            try ends[end].host.stack.close(id, at: ends[end].host.now)
            ends[end].closed.insert(id)
        } catch {}
    }
}
