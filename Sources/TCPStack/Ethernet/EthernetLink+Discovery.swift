import TCPEngine
import TCPWire

// Neighbors' solicitations and advertisements (RFC 4861 §7).
extension EthernetLink {
    /// RFC 4861 §7.2.3; of an address that is not this host's yet, RFC 4862 §5.4.3.
    mutating func receiveSolicitation(
        _ message: NeighborMessage, _ frame: EthernetHeader, _ stack: inout Stack
    ) throws(EthernetFault) {
        guard let index = records.firstIndex(where: { $0.prefix.address == message.target }) else {
            throw .discoveryTarget
        }
        if records[index].state == .tentative {
            // Somebody asks for the way to it: there is none yet. Somebody wants it too: nobody gets it. Unless it is this
            // host's own question that came back (RFC 7527 §4.2).
            if message.source.isUnspecified, message.nonce == nil || message.nonce != records[index].nonce {
                refuse(index, &stack)
            }
            return
        }
        guard records[index].isAssigned else { return }
        if message.source.isUnspecified {
            advertise(message.target, to: .allNodes, isSolicited: false, &stack)
            return
        }
        guard !isAssigned(message.source) else { throw .discoveryAddress }
        if let hardware = message.sourceLink { learn(message.source, hardware, &stack) }
        advertise(message.target, to: message.source, isSolicited: true, &stack)
    }

    /// RFC 4861 §7.2.5; of an address of this host's, RFC 4862 §5.4.4.
    mutating func receiveAdvertisement(
        _ message: NeighborMessage, _ stack: inout Stack
    ) throws(EthernetFault) {
        if let index = records.firstIndex(where: { $0.prefix.address == message.target }) {
            // RFC 4862 §5.4.4 leaves open what to do about an address that is in use.
            if records[index].state == .tentative { refuse(index, &stack) } else { counts.addressConflicts &+= 1 }
            return
        }
        guard let slot = table.find(message.target) else { throw .unknownNeighbor }
        if table[slot].state == .incomplete {
            // Without an address it is no answer.
            guard let hardware = message.targetLink else { throw .discoveryOption }
            settle(slot, hardware, isReachable: message.isSolicited, &stack)
            noteRouter(slot, message.isRouter, &stack)
            return
        }
        let isOther = message.targetLink.map { $0 != table[slot].hardware } ?? false
        if isOther, !message.overrides {
            // Who of them speaks the truth is to be found out; what is known stays.
            if table[slot].state == .reachable { table[slot].state = .stale }
            return
        }
        if isOther, let hardware = message.targetLink { table[slot].hardware = hardware }
        if message.isSolicited {
            confirm(slot)
        } else if isOther {
            table[slot].state = .stale
        }
        noteRouter(slot, message.isRouter, &stack)
    }

    /// RFC 4861 §7.2.5: a router that is one no more is no default router.
    private mutating func noteRouter(_ slot: UInt32, _ isRouter: Bool, _ stack: inout Stack) {
        let wasRouter = table[slot].isRouter
        table[slot].isRouter = isRouter
        if wasRouter, !isRouter { removeRouter(table[slot].address, &stack) }
    }

    // MARK: Sent

    /// Asks for a neighbor: its group, or itself when its address is known (RFC 4861 §7.2.2, §7.3.3).
    mutating func solicit(
        _ target: IPAddress, from source: IPAddress?, to hardware: MACAddress?, _ stack: inout Stack
    ) {
        guard let source else { return }
        var message = NeighborMessage(
            .neighborSolicitation, source: source, destination: hardware == nil ? target.solicitedNode : target,
            target: target)
        message.sourceLink = address
        send(message, to: hardware ?? MACAddress(group: target.solicitedNode), &stack)
    }

    /// RFC 4862 §5.4.2: asks whether an address has an owner.
    mutating func solicitDuplicates(_ index: Int, _ stack: inout Stack) {
        let target = records[index].prefix.address
        var message = NeighborMessage(
            .neighborSolicitation, source: .unspecifiedIPv6, destination: target.solicitedNode, target: target)
        records[index].nonce = random() & 0xFFFF_FFFF_FFFF
        message.nonce = records[index].nonce
        send(message, to: MACAddress(group: target.solicitedNode), &stack)
    }

    /// RFC 4861 §7.2.4: answers, to the way by which the asker is reached; or tells all (RFC 9131 §4: the routers, who
    /// then know where answers to this host go).
    mutating func advertise(
        _ own: IPAddress, to destination: IPAddress, isSolicited: Bool, overrides: Bool = true, _ stack: inout Stack
    ) {
        var message = NeighborMessage(
            .neighborAdvertisement, source: own, destination: destination, target: own)
        message.word = (isSolicited ? 1 &<< 30 : 0) | (overrides ? 1 &<< 29 : 0)
        message.targetLink = address
        if destination.isMulticast {
            send(message, to: MACAddress(group: destination), &stack)
            return
        }
        guard let hop = nextHop(to: destination, stack) else {
            counts.packetsWithoutRoute &+= 1
            return
        }
        if let slot = table.find(hop), let hardware = use(slot) {
            schedule(table.deadline)
            send(message, to: hardware, &stack)
            return
        }
        // The asker did not say where it is: it is asked in turn, and the answer waits.
        counts.discoverySent &+= 1
        let frame = frame(of: message, to: MACAddress(rawValue: 0))
        let bytes = unsafe frame.octets.span.bytes
        if let slot = table.find(hop) {
            wait(for: slot, bytes, frame.packet, &stack)
        } else if !resolve(hop, for: frame.packet, bytes, &stack) {
            counts.packetsWithoutMemory &+= 1
        }
    }

    /// Queues a message to one interface or a group.
    mutating func send(_ message: NeighborMessage, to hardware: MACAddress, _ stack: inout Stack) {
        counts.discoverySent &+= 1
        send(frame(of: message, to: hardware), &stack)
    }

    private func frame(of message: NeighborMessage, to hardware: MACAddress) -> Frame {
        frame(to: hardware, .ipv6, length: message.encodedLength) { bytes in
            message.write(to: &bytes, at: EthernetHeader.length)
        }
    }
}
