import Glibc
import TCPScript

/// The public scripts, which stand beside the clone as `../shared/pkt`; `TCP_SHARED` names another place for `../shared`.
enum SharedScripts {
    struct Entry: Sendable {
        var suite: String
        var path: String
        var isClassA: Bool
        var topic: String
        /// The path below `pkt`, by which lists name it.
        var name: String { "\(suite)/\(path)" }
    }

    static let root: String = {
        var path = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        path.removeLast(3)
        return path.joined(separator: "/")
    }()

    static let folder: String = {
        let shared = getenv("TCP_SHARED").map { String(cString: $0) } ?? root + "/../shared"
        return shared + "/pkt"
    }()

    static let areThere = access(folder + "/INDEX.tsv", R_OK) == 0
    static let whyNot =
        "the public scripts are not there: put them in ../shared/pkt, or name another place with TCP_SHARED"

    static func entries() throws -> [Entry] {
        let index = String(decoding: try ScriptFiles.read(folder + "/INDEX.tsv"), as: UTF8.self)
        return index.split(separator: "\n").dropFirst().map { line in
            let fields = line.split(separator: "\t").map(String.init)
            return Entry(suite: fields[0], path: fields[1], isClassA: fields[2] == "A", topic: fields[3])
        }
    }

    /// Where an entry's file is.
    static func location(of entry: Entry) -> String { "\(folder)/\(entry.name)" }
}
