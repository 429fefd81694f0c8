// Code that comes later, in a message: imported from a blob, as the host loads the widget itself.

export async function importScript<M>(script: string): Promise<M> {
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  try {
    return (await import(/* @vite-ignore */ address)) as M;
  } finally {
    URL.revokeObjectURL(address);
  }
}
