import type { NodeId } from '@lmqtt/common/ids';

/** Another process has this node id, and its lease has not ended. */
export class NodeIdInUse extends Error {
  override readonly name: string = 'NodeIdInUse';

  constructor(node: NodeId) {
    super(`the node id ${node} is in use`);
  }
}
