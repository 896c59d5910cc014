internal import TCPWire

// What a link's own protocols say to each other: ARP (RFC 826, RFC 5227) and neighbor discovery (RFC 4861).
extension PacketLine {
    static func frame(_ frame: RawSpan) -> String {
        guard frame.byteCount >= EthernetHeader.length else { return "\(frame.byteCount) octets: no whole frame" }
        let body = frame.extracting(EthernetHeader.length..<frame.byteCount)
        switch EthernetHeader.Payload(rawValue: frame.be16(12)) {
        case .ipv4, .ipv6: return describe(body)
        case .arp: return arp(body)
        case nil:
            let digits = String(frame.be16(12), radix: 16)
            let type = "0x" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            return "\(frame.mac(6)) > \(frame.mac(0)) type \(type) length \(body.byteCount)"
        }
    }

    private static func arp(_ packet: RawSpan) -> String {
        let arp: ARPPacket
        do {
            arp = try ARPPacket(parsing: packet)
        } catch {
            return "ARP: \(error.explanation)"
        }
        let (sender, hardware) = (arp.sender, arp.senderHardware)
        switch arp.operation {
        case .request where sender.isUnspecified: return "ARP probe from \(hardware): who has \(arp.target)?"
        case .request where sender == arp.target: return "ARP announcement: \(sender) is at \(hardware)"
        case .request: return "ARP who has \(arp.target)? tell \(sender) at \(hardware)"
        case .reply: return "ARP \(sender) is at \(hardware)"
        }
    }

    /// What an ICMPv6 message of neighbor discovery or multicast listener discovery says; `nil` for others, and for those
    /// that are not to be taken.
    static func discovery(_ packet: RawSpan, _ header: IPHeader) -> String? {
        if NeighborMessage.type(of: packet, header) == 143 { return "multicast listener report" }
        guard let message = try? NeighborMessage(parsing: packet, header) else { return nil }
        var text: String
        switch message.kind {
        case .routerSolicitation:
            text = "router solicitation"
        case .routerAdvertisement:
            text = "router advertisement lifetime \(message.routerLifetime)"
            var offset = message.options.lowerBound
            while let prefix = PrefixInformation.next(in: packet, &offset, end: message.options.upperBound) {
                text += " prefix \(prefix.prefix) lifetimes \(prefix.preferredLifetime)/\(prefix.validLifetime)"
            }
        case .neighborSolicitation:
            text = "neighbor solicitation: who has \(message.target)?"
        case .neighborAdvertisement:
            text = "neighbor advertisement: \(message.target) is here"
            if message.isRouter { text += ", a router" }
        case .redirect:
            text = "redirect: to \(message.redirected) by \(message.target)"
        }
        if let mtu = message.mtu { text += " MTU \(mtu)" }
        if let address = message.sourceLink { text += " from \(address)" }
        if let address = message.targetLink { text += " at \(address)" }
        return text
    }
}
