import TCPEngine
import TCPWire

// ARP (RFC 826), and what it says of conflicts (RFC 5227).
extension EthernetLink {
    mutating func receiveARP(_ packet: RawSpan, _ stack: inout Stack) throws(EthernetFault) {
        let arp = try ARPPacket(parsing: packet)
        counts.arpReceived &+= 1
        // RFC 5227 §2.1.1: what this interface sent itself says nothing.
        guard arp.senderHardware != address else { return }
        guard !isConflict(arp, &stack) else { return }
        if arp.sender.isUnspecified {
            // A probe: nothing is learnt of it (RFC 5227 §2.1), but the owner answers.
            if isAssigned(arp.target) { reply(to: arp, &stack) }
            return
        }
        guard !stack.isBroadcastOrMulticast(arp.sender) else { throw .arpSender }
        // RFC 826, packet reception: a known sender is noted first, whatever it wants; only who wants this host is added.
        let isForUs = isAssigned(arp.target)
        if let slot = table.find(arp.sender) {
            merge(slot, arp, isForUs: isForUs, &stack)
        } else if isForUs {
            learn(arp.sender, arp.senderHardware, &stack)
        }
        if isForUs, arp.operation == .request { reply(to: arp, &stack) }
    }

    /// The merge of RFC 826. An answer that was asked for shows that the sender is there; anything else may be from anybody.
    private mutating func merge(_ slot: UInt32, _ arp: ARPPacket, isForUs: Bool, _ stack: inout Stack) {
        let state = table[slot].state
        let isAnswer =
            isForUs && arp.operation == .reply && arp.targetHardware == address
            && (state == .incomplete || state == .probe)
        if isAnswer || state == .incomplete || table[slot].hardware != arp.senderHardware {
            settle(slot, arp.senderHardware, isReachable: isAnswer, &stack)
        }
    }

    private mutating func reply(to arp: ARPPacket, _ stack: inout Stack) {
        send(
            ARPPacket(
                .reply, senderHardware: address, sender: arp.target, targetHardware: arp.senderHardware,
                target: arp.sender),
            to: arp.senderHardware, &stack)
    }

    /// Asks for a neighbor: everybody, or the one that is believed to be it.
    mutating func request(
        _ target: IPAddress, from source: IPAddress?, to hardware: MACAddress?, _ stack: inout Stack
    ) {
        guard let source else { return }
        send(
            ARPPacket(.request, senderHardware: address, sender: source, target: target), to: hardware ?? .broadcast,
            &stack)
    }

    /// RFC 5227 §2.1.1: asks whether an address has an owner, without naming one.
    mutating func probe(_ target: IPAddress, _ stack: inout Stack) {
        send(
            ARPPacket(.request, senderHardware: address, sender: IPAddress(ipv4: 0), target: target), to: .broadcast,
            &stack)
    }

    /// RFC 5227 §2.3: tells everybody whose an address is.
    mutating func announce(_ own: IPAddress, _ stack: inout Stack) {
        send(ARPPacket(.request, senderHardware: address, sender: own, target: own), to: .broadcast, &stack)
    }

    private mutating func send(_ arp: ARPPacket, to hardware: MACAddress, _ stack: inout Stack) {
        counts.arpSent &+= 1
        send(
            frame(to: hardware, .arp, length: ARPPacket.length) { bytes in
                arp.write(to: &bytes, at: EthernetHeader.length)
            }, &stack)
    }

    /// A frame of this interface whose payload `body` writes behind the header.
    func frame(
        to hardware: MACAddress, _ payload: EthernetHeader.Payload, length: Int,
        _ body: (inout MutableRawSpan) -> Void
    ) -> Frame {
        var octets = [UInt8](repeating: 0, count: EthernetHeader.length &+ length)
        var span = octets.mutableSpan
        // Safe: every octet of the array may have any value.
        var bytes = unsafe span.mutableBytes
        EthernetHeader(destination: hardware, source: address, payload: payload).write(to: &bytes)
        body(&bytes)
        return Frame(octets)
    }

    // MARK: Conflicts

    /// Whether an address of the packet's is claimed here as well; what follows from it is done.
    private mutating func isConflict(_ arp: ARPPacket, _ stack: inout Stack) -> Bool {
        for index in 0..<records.count {
            let own = records[index].prefix.address
            switch records[index].state {
            case .tentative:
                // RFC 5227 §2.1.1: its owner speaks, or another probes for it at the same time.
                guard arp.sender == own || arp.sender.isUnspecified && arp.target == own else { continue }
                refuse(index, &stack)
                return true
            case .preferred, .deprecated:
                guard arp.sender == own else { continue }
                defend(index, &stack)
                return true
            case .duplicated: continue
            }
        }
        return false
    }

    /// RFC 5227 §2.4 (b): the first claim is answered, another that comes soon after it ends the use of the address.
    private mutating func defend(_ index: Int, _ stack: inout Stack) {
        if let last = records[index].conflictAt, now < last + configuration.defendInterval {
            refuse(index, &stack)
            return
        }
        records[index].conflictAt = now
        counts.addressesDefended &+= 1
        announce(records[index].prefix.address, &stack)
    }

    /// Whether the stack has an address by way of this link.
    func isAssigned(_ address: IPAddress) -> Bool {
        for record in records where record.prefix.address == address { return record.isAssigned }
        return false
    }
}
