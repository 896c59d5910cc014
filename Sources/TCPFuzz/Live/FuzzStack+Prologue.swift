package import TCPEngine
import TCPStack
import TCPWire

// Bringing connections into states, by valid segments and calls.
extension StackSession {
    static let port: UInt16 = 80

    func prologue() {
        let count = 1 + octets.below(3)
        if let id = try? host.stack.listen(on: StackSession.port, backlog: 4, at: host.now) { listeners.append(id) }
        for number in 0..<count {
            let choice = octets.next()
            addPeer(number, choice)
            bring(number, to: choice & 15)
            host.audit()
        }
    }

    private func addPeer(_ number: Int, _ choice: UInt8) {
        let initial = SequenceNumber(choice & 16 == 0 ? 0x2000_0000 : 0xFFFF_FFF8)
        peers.append(
            FuzzedPeer(
                endpoint: Endpoint(StackSession.address(2 + number, isIPv6: isIPv6), UInt16(4000 + number)),
                target: Endpoint(StackSession.address(1, isIPv6: isIPv6), StackSession.port), initial: initial,
                next: initial, usesTimestamps: choice & 32 == 0 && host.configuration.timestamps))
    }

    /// A segment in order, as the peer would send it now.
    func standard(_ number: Int, _ flags: TCPFlags, payload: Int = 0) -> ForgedSegment {
        let peer = peers[number]
        var segment = ForgedSegment(source: peer.endpoint, destination: peer.target)
        segment.sequence = peer.next
        segment.acknowledgment = peer.stackNext
        segment.flags = flags
        let isSyn = flags.contains(.syn)
        if isSyn { segment.options = RawOption.segmentSize(isIPv6 ? 1220 : 536) + RawOption.permitsSACK }
        if isSyn { segment.options += RawOption.shift(5) }
        if peer.usesTimestamps {
            segment.options += RawOption.timestamps(timestamp(number), echo: isSyn ? 0 : peer.lastTimestamp)
        }
        segment.payload = Pattern.bytes(from: peer.next + (isSyn ? 1 : 0), count: payload)
        return segment
    }

    func timestamp(_ number: Int) -> UInt32 {
        peers[number].timestampBase &+ UInt32(truncatingIfNeeded: host.now.nanoseconds / 1_000_000)
    }

    /// Sends it, and the peer's numbers move on.
    private func send(_ number: Int, _ flags: TCPFlags, payload: Int = 0) {
        let segment = standard(number, flags, payload: payload)
        inject(segment.packet())
        pump()
        peers[number].next += payload + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
    }

    private func accept(_ number: Int) {
        send(number, .syn)
        send(number, .ack)
        guard let listener = listeners.first, let id = host.stack.accept(listener) else { return }
        handles.append(FuzzedHandle(id: id))
    }

    private func connect(_ number: Int) {
        guard let id = try? host.stack.connect(to: peers[number].endpoint, at: host.now) else { return }
        handles.append(FuzzedHandle(id: id))
        pump()
    }

    private func close() {
        guard let id = handles.last?.id else { return }
        try? host.stack.close(id, at: host.now)
        pump()
    }

    func write(_ index: Int, _ count: Int) {
        guard handles.indices.contains(index) else { return }
        let id = handles[index].id
        guard let initial = host.stack.initialSequences(of: id)?.send else { return }
        let bytes = Pattern.bytes(from: initial + 1 + handles[index].written, count: count)
        if let taken = try? host.write(id, bytes) { handles[index].written += taken }
    }

    private func bring(_ number: Int, to state: UInt8) {
        switch state {
        case 0: break  // LISTEN
        case 1: connect(number)  // SYN-SENT
        case 2: send(number, .syn)  // SYN-RECEIVED as an entry
        case 3:  // SYN-RECEIVED after crossing SYNs
            connect(number)
            send(number, .syn)
        case 4:  // ESTABLISHED after an active OPEN
            connect(number)
            send(number, [.syn, .ack])
        case 5:  // ESTABLISHED, not accepted yet
            send(number, .syn)
            send(number, .ack)
        default:
            accept(number)
            bringOn(number, to: state)
        }
    }

    private func bringOn(_ number: Int, to state: UInt8) {
        switch state {
        case 6: break  // ESTABLISHED
        case 7:  // with data in flight
            write(handles.count - 1, 4000)
            pump()
        case 8:  // with a gap in what came
            peers[number].next += 100
            send(number, .ack, payload: 50)
            peers[number].next = peers[number].next + -150
        case 9: close()  // FIN-WAIT-1
        case 10:  // FIN-WAIT-2
            close()
            send(number, .ack)
        case 11: send(number, [.fin, .ack])  // CLOSE-WAIT
        case 12:  // CLOSING
            let before = peers[number].stackNext
            close()
            let after = peers[number].stackNext
            peers[number].stackNext = before
            send(number, [.fin, .ack])
            peers[number].stackNext = .later(after, peers[number].stackNext)
        case 13:  // LAST-ACK
            send(number, [.fin, .ack])
            close()
        case 14:  // TIME-WAIT
            close()
            send(number, [.fin, .ack])
        default:  // ESTABLISHED, with data the program has not read, and octets behind a closed window
            send(number, .ack, payload: 700)
            var shut = standard(number, .ack)
            shut.window = 0
            inject(shut.packet())
            write(handles.count - 1, 300)
            pump()
        }
    }
}

extension FuzzTarget {
    /// The states of the connections that the head of an input for `stack` brings about: whether it does is a test's business.
    package static func prologueStates(_ choice: UInt8) -> [State] {
        let input: [UInt8] = [0, 0, 0, choice]
        let session = StackSession(Octets(input.span.bytes))
        session.prologue()
        let states = session.host.stack.flows().map(\.state)
        session.finish()
        return states
    }
}
