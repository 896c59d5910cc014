public import TCPWire

extension MACAddress {
    /// A random address of one station: locally administered, so that no manufacturer has given it away (IEEE 802 §8.4.4).
    public static func random() -> MACAddress {
        func octet() -> UInt8 { .random(in: .min ... .max) }
        return MACAddress(octet() & 0xFC | 0x02, octet(), octet(), octet(), octet(), octet())
    }
}
